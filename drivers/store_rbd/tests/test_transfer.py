"""What librbd must not be asked: it aborts the process when an image is closed behind a request that has failed and is
not over yet."""

import pytest
from glancecore_store_rbd import transfer
from glancecore_store_rbd.cluster import rbd
from glancecore_store_rbd.transfer import GROW, WRITE, Writer, opened

MIB = 1 << 20


class Image:
    """Notes what it is asked."""

    def __init__(self):
        self.asked = []

    def aio_write(self, data, offset, wrote):
        self.asked.append(("write", offset, len(data)))
        wrote(Completion())

    def resize(self, size):
        self.asked.append(("resize", size))

    def flush(self):
        self.asked.append(("flush",))

    def close(self):
        self.asked.append(("close",))


class Completion:
    def get_return_value(self):
        return 0


class Pool:
    """Answers when the answer is waited for."""

    def __init__(self, image):
        self._image = image

    def aio_stat(self, _name, answered):
        pool = self

        class Asked:
            def wait_for_complete_and_cb(self):
                pool._image.asked.append(("all before is over",))
                answered(None, None, None)

        return Asked()


@pytest.fixture
def image(monkeypatch):
    made = Image()
    monkeypatch.setattr(transfer.rbd, "Image", lambda *_, **__: made)
    return made


def test_an_image_whose_request_failed_is_closed_when_all_of_it_is_over(image):
    with pytest.raises(rbd.OSError, match="shut out"), opened(Pool(image), "name"):
        raise rbd.OSError("shut out", errno=108)
    assert image.asked == [("all before is over",), ("close",)]


def test_what_went_wrong_first_is_told(image, monkeypatch):
    def close():
        raise rbd.OSError("close", errno=108)

    monkeypatch.setattr(image, "close", close)
    with pytest.raises(ConnectionResetError), opened(Pool(image), "name"):
        raise ConnectionResetError
    with pytest.raises(rbd.OSError, match="close"), opened(Pool(image), "name"):
        pass


def test_no_write_is_under_way_when_the_image_changes_its_size(image, monkeypatch):
    waited = transfer._Request.result

    def result(request, operation):
        image.asked.append(("wait",))
        return waited(request, operation)

    monkeypatch.setattr(transfer._Request, "result", result)
    writer = Writer(image, None, sparse=False)
    for _ in range(GROW // WRITE + 1):
        writer.write(bytes(WRITE))
    writer.write(b"rest")
    writer.finish()
    under_way = 0
    for what, *_ in image.asked:
        under_way += {"write": 1, "wait": -1}.get(what, 0)
        assert what not in {"resize", "flush"} or not under_way, image.asked
    assert image.asked.count(("flush",)) == 1
    assert [x for x in image.asked if x[0] == "resize"][-1] == ("resize", GROW + MIB + 4)
