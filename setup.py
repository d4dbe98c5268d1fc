"""What pyproject.toml cannot say: the page and the notebooks lie at the top of the repository and travel inside the package."""

from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.build_py import build_py

FILES = ["dashboard.ipynb", "voila.json", *(path.as_posix() for path in sorted(Path("notebooks").glob("*.ipynb")))]


class WithPage(build_py):
    def _get_data_files(self) -> list[Any]:
        return [*super()._get_data_files(), self._page()]

    def get_data_files_without_manifest(self) -> list[Any]:  # for a source archive
        return [*super().get_data_files_without_manifest(), self._page()]

    def _page(self) -> tuple[str, str, str, list[str]]:
        return "animeset_lib", ".", f"{self.build_lib}/animeset_lib/page", FILES


setup(cmdclass={"build_py": WithPage})
