"""Films and pictures on disk: probing, decoding, colour, reading and writing. The only room that touches FFmpeg."""

from animeset_lib.media.clock import KeyPoint
from animeset_lib.media.combs import combing
from animeset_lib.media.ffmpeg import ffmpeg_exe
from animeset_lib.media.pictures import PICTURE_SUFFIXES, Picture, Progress, list_pictures, read_image, write_image
from animeset_lib.media.probe import clean_name, identify, probe
from animeset_lib.media.reader import FilmReader, MovieFrame

__all__ = [
    "PICTURE_SUFFIXES",
    "FilmReader",
    "KeyPoint",
    "MovieFrame",
    "Picture",
    "Progress",
    "clean_name",
    "combing",
    "ffmpeg_exe",
    "identify",
    "list_pictures",
    "probe",
    "read_image",
    "write_image",
]
