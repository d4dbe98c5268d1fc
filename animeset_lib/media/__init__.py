"""Films and pictures on disk: probing, decoding, colour, reading and writing. The only room that touches FFmpeg."""

from animeset_lib.media.animation import ANIMATION_SUFFIXES, check_no_still, still_picture
from animeset_lib.media.clock import KeyPoint
from animeset_lib.media.combs import combing
from animeset_lib.media.examine import Examination, Fact, Phrase, examine
from animeset_lib.media.ffmpeg import ffmpeg_exe
from animeset_lib.media.movie_frame import MovieFrame
from animeset_lib.media.pictures import (
    PICTURE_SUFFIXES,
    Picture,
    Progress,
    kinds_of,
    list_pictures,
    picture_folders,
    pictures_in,
    read_image,
    unread_pictures,
    write_image,
)
from animeset_lib.media.probe import clean_name, identify, probe
from animeset_lib.media.reader import FilmReader

__all__ = [
    "ANIMATION_SUFFIXES",
    "PICTURE_SUFFIXES",
    "Examination",
    "Fact",
    "FilmReader",
    "KeyPoint",
    "MovieFrame",
    "Phrase",
    "Picture",
    "Progress",
    "check_no_still",
    "clean_name",
    "combing",
    "examine",
    "ffmpeg_exe",
    "identify",
    "kinds_of",
    "list_pictures",
    "picture_folders",
    "pictures_in",
    "probe",
    "read_image",
    "still_picture",
    "unread_pictures",
    "write_image",
]
