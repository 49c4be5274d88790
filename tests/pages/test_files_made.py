"""A file made at a click is there when the browser comes for it, whatever ran meanwhile."""

import pytest
from streamlit import runtime
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from pages.shared.files_made import HELD, held


class Server:
    """What of Streamlit's runtime has to do with files."""

    def __init__(self) -> None:
        self.media_file_mgr = MediaFileManager(MemoryMediaFileStorage("/media"))

    def clicked(self, make) -> str:
        """The name of the file that a click makes."""
        button = self.media_file_mgr.add_deferred(make, "text/csv", "0.1", "heads.csv")
        return self.media_file_mgr.execute_deferred(button).rpartition("/")[2].partition("?")[0]

    def runs_end(self) -> None:
        for _ in range(3):
            self.media_file_mgr.clear_session_refs("somebody")
            self.media_file_mgr.remove_orphaned_files()

    def file(self, name: str) -> bytes | None:
        found = self.media_file_mgr.read_file(name)
        return None if found is None else found.content


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(runtime, "exists", lambda: True)
    monkeypatch.setattr(runtime, "get_instance", lambda: made)
    return made


@pytest.mark.parametrize("content", ["head,effect\n1.2,-1.0\n", b"\x00\x01"])
def test_a_file_outlives_the_runs_that_end_before_it_is_fetched(server: Server, content: str | bytes) -> None:
    name = server.clicked(held(lambda: content, "heads.csv", "text/csv"))
    server.runs_end()
    assert server.file(name) == (content.encode() if isinstance(content, str) else content)


def test_without_that_it_is_gone(server: Server) -> None:
    """What Streamlit does by itself; if this fails, pages/shared/files_made.py can go."""
    name = server.clicked(lambda: "head\n1.2\n")
    server.runs_end()
    assert server.file(name) is None


def test_only_the_files_made_last_are_held(server: Server) -> None:
    first, *_, last = [
        server.clicked(held(lambda text=text: text, "heads.csv", "text/csv")) for text in map(str, range(HELD + 1))
    ]
    server.runs_end()
    assert (server.file(first), server.file(last)) == (None, str(HELD).encode())
