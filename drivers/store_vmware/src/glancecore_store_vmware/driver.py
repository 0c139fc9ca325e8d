"""Images as files in the datastores of a vCenter."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from pyVmomi import vim

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.ports.store import MARKER, MARKER_SIZE, Cap, PlaceMarker, Store, StoredBlob
from glancecore_store_vmware.options import OPTIONS
from glancecore_store_vmware.session import Session
from glancecore_store_vmware.web import Web

#: Seconds that ``ping`` waits, which the port allows 5.
PING = 4.5


@dataclass(frozen=True, slots=True)
class Datastore:
    """``datacenter`` with its folders; ``weight`` as the operator gave it."""

    datacenter: str
    name: str
    weight: int = 0

    def file(self, path: str) -> str:
        """The file as the vCenter's own calls name it."""
        return f"[{self.name}] {path.lstrip('/')}"


class VmwareStore(Store):
    """Location: ``vsphere://HOST/folder/FOLDER/KEY?dcPath=DATACENTER&dsName=DATASTORE``.

    A file is written under a name that no blob has, and moved when it is whole."""

    plugin_api = "1.0"
    schemes = ("vsphere",)
    options = OPTIONS
    caps = frozenset({Cap.WRITE, Cap.DELETE, Cap.RANGE, Cap.LIST, Cap.MARK})

    def __init__(self, name: str, conf: Section) -> None:
        super().__init__(name, conf)
        for option in ("vmware_server_host", "vmware_server_username", "vmware_server_password", "vmware_datastores"):
            if not conf[option]:
                raise errors.ConfigError(f"[{name}] {option}: it is empty, and this store needs it; set it")
        self._datastores = [_datastore(name, text) for text in conf.vmware_datastores]
        self._folder = f"/{conf.vmware_store_image_dir.strip('/')}"
        self._session = Session(name, conf)
        self._web = Web(name, self._session, conf.vmware_http_timeout)
        self._lock = threading.Lock()
        #: What the last ``ping`` has asked, in a thread: a vCenter that does not answer makes a question wait for
        #: vmware_http_timeout.
        self._asked: Future[None] | None = None

    def create(self) -> None:
        try:
            self._greet()
            for datastore in self._datastores:
                self._session.call(partial(self._make_folder, datastore=datastore))
        except BaseException:
            self._session.close()
            raise

    def start(self) -> None:
        try:
            self._greet()
            for datastore in self._datastores:
                self._session.call(partial(self._check_datastore, datastore=datastore))
        except BaseException:
            self._session.close()
            raise

    def _greet(self) -> None:
        """What is wrong with a login is told with its options. Raises ConfigError, StoreForbidden, StoreUnavailable."""
        try:
            self._cluster = str(self._session.call(lambda content: content.about.instanceUuid))
        except errors.StoreForbidden as exc:
            raise errors.StoreForbidden(
                f"[{self.name}] vmware_server_username, vmware_server_password: the vCenter does not let this user in",
                self.name,
            ) from exc
        except errors.StoreUnavailable as exc:
            if "CERTIFICATE_VERIFY_FAILED" in str(exc.__cause__):  # pyVmomi keeps but the text of it
                raise errors.ConfigError(
                    f"[{self.name}] vmware_ca_file: the vCenter's certificate is of no authority in it; name the file"
                    " with its authority's certificate"
                ) from exc
            raise

    def _check_datastore(self, content: Any, datastore: Datastore) -> Any:
        """Its datacenter. Raises ConfigError when there is no such datastore."""
        center = self._center(content, datastore)
        names = sorted(x.name for x in center.datastore)
        if datastore.name not in names:
            raise errors.ConfigError(
                f"[{self.name}] vmware_datastores: {datastore.datacenter} has no datastore {datastore.name!r}; there"
                f" are: {', '.join(names)}"
            )
        return center

    def _make_folder(self, content: Any, datastore: Datastore) -> None:
        center = self._check_datastore(content, datastore)
        with contextlib.suppress(vim.fault.FileAlreadyExists):
            content.fileManager.MakeDirectory(
                name=datastore.file(self._folder), datacenter=center, createParentDirectories=True
            )

    def ping(self) -> None:
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                threading.Thread(target=self._ask, args=(self._asked,), name=f"ping-{self.name}", daemon=True).start()
            asked = self._asked
        try:
            asked.result(PING)
        except TimeoutError:
            raise errors.StoreUnavailable(
                f"store {self.name}: the vCenter does not answer", self.name, "ping"
            ) from None

    def _ask(self, answer: Future[None]) -> None:
        try:
            self._session.call(lambda content: content.sessionManager.currentSession.key)
        except BaseException as exc:  # noqa: BLE001 (whoever waits is told)
            answer.set_exception(exc)
        else:
            answer.set_result(None)

    @property
    def place(self) -> str:
        return "+".join(
            sorted(
                f"vsphere:{self._cluster}/{quote(x.datacenter)}/{quote(x.name)}{quote(self._folder)}"
                for x in self._datastores
            )
        )

    @property
    def properties(self) -> Mapping[str, object]:
        return {
            "datastores": [f"{x.datacenter}:{x.name}:{x.weight}" for x in self._datastores],
            "image_dir": self._folder,
        }

    def free(self) -> int:
        return sum(self._rooms().values())

    # -- places ------------------------------------------------------------------------------------
    def markers(self) -> Sequence[PlaceMarker]:
        return [PlaceMarker(self._where(x), self._marker(x)) for x in self._datastores]

    def mark(self, where: str, content: bytes) -> bytes:
        """As blobs are written: under another name, of which each caller has its own, and moved, which replaces
        nothing."""
        [datastore] = (x for x in self._datastores if self._where(x) == where)
        part = f"{MARKER}.{secrets.token_hex(8)}.part"
        self._web.put(self._path(datastore, part), [content], len(content))
        try:
            self._session.task(lambda vcenter: self._move(vcenter, datastore, part, MARKER))
        except errors.BlobExists:
            self._remove(datastore, part)
        except BaseException:
            with contextlib.suppress(errors.StoreError):
                self._remove(datastore, part)
            raise
        found = self._marker(datastore)
        if found is None:
            raise errors.StoreUnavailable(
                f"the marker of store {self.name} was removed while it was made", self.name, "mark"
            )
        return found

    def _where(self, datastore: Datastore) -> str:
        return f"vmware_datastores = {datastore.datacenter}:{datastore.name}"

    def _marker(self, datastore: Datastore) -> bytes | None:
        path = self._path(datastore, MARKER)
        try:
            size = min(self._web.size(path), MARKER_SIZE + 1)
            return b"".join(self._web.open(path, 0, size)) if size else b""
        except errors.BlobNotFound:
            return None

    # -- writing -----------------------------------------------------------------------------------
    def put(self, key: str, chunks: Iterable[bytes], size: int | None = None) -> str:
        for datastore in self._datastores:
            with contextlib.suppress(errors.BlobNotFound):
                self._web.size(self._path(datastore, key))
                raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "put")
        datastore = self._chosen(size or 0)
        part = f".{key}.part"
        try:
            self._web.put(self._path(datastore, part), chunks, size)
            self._session.task(lambda content: self._move(content, datastore, part, key))
        except BaseException:
            with contextlib.suppress(errors.BlobNotFound, errors.StoreUnavailable):
                self._remove(datastore, part)
            raise
        return self._url(datastore, key)

    def _move(self, content: Any, datastore: Datastore, source: str, target: str) -> Any:
        center = self._center(content, datastore)
        return content.fileManager.MoveDatastoreFile_Task(
            sourceName=datastore.file(f"{self._folder}/{source}"),
            sourceDatacenter=center,
            destinationName=datastore.file(f"{self._folder}/{target}"),
            destinationDatacenter=center,
            force=False,
        )

    def delete(self, url: str) -> None:
        self._remove(*self._parsed(url))

    def discard(self, key: str) -> None:
        for datastore in self._datastores:
            for name in (key, f".{key}.part"):
                with contextlib.suppress(errors.BlobNotFound):
                    self._remove(datastore, name)

    def _remove(self, datastore: Datastore, name: str) -> None:
        self._session.task(
            lambda content: content.fileManager.DeleteDatastoreFile_Task(
                name=datastore.file(f"{self._folder}/{name}"), datacenter=self._center(content, datastore)
            )
        )

    # -- reading -----------------------------------------------------------------------------------
    def canonical(self, url: str) -> str:
        return self._url(*self._parsed(url))

    def open(self, url: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        datastore, key = self._parsed(url)
        path = self._path(datastore, key)
        size = self._web.size(path)
        start = min(offset, size)
        wanted = size - start if length is None else min(length, size - start)
        return self._web.open(path, start, wanted) if wanted else iter(())

    def size(self, url: str) -> int:
        datastore, key = self._parsed(url)
        return self._web.size(self._path(datastore, key))

    def list(self) -> Iterator[StoredBlob]:
        for datastore in self._datastores:
            with contextlib.suppress(errors.BlobNotFound):  # no folder, no blobs
                found = self._session.task(partial(self._search, datastore=datastore))
                for file in found.file:
                    if not file.path.startswith(".") and not isinstance(file, vim.host.DatastoreBrowser.FolderInfo):
                        yield StoredBlob(
                            file.path, self._url(datastore, file.path), int(file.fileSize or 0), file.modification
                        )

    def _search(self, content: Any, datastore: Datastore) -> Any:
        browser = vim.host.DatastoreBrowser
        facts = browser.FileInfo.Details(fileSize=True, modification=True, fileType=True, fileOwner=False)
        return self._found(content, datastore).browser.SearchDatastore_Task(
            datastorePath=datastore.file(self._folder), searchSpec=browser.SearchSpec(matchPattern=["*"], details=facts)
        )

    def close(self) -> None:
        self._session.close()

    # -- inside ------------------------------------------------------------------------------------
    def _chosen(self, size: int) -> Datastore:
        rooms = self._rooms()
        fitting = [x for x in self._datastores if rooms[x] >= size]
        if not fitting:
            raise errors.StoreFull(f"store {self.name} has no datastore with room for {size} bytes", self.name, "put")
        return max(fitting, key=lambda x: (x.weight, rooms[x]))

    def _rooms(self) -> dict[Datastore, int]:
        return self._session.call(
            lambda content: {x: int(self._found(content, x).summary.freeSpace) for x in self._datastores}
        )

    def _center(self, content: Any, datastore: Datastore) -> Any:
        found = content.searchIndex.FindByInventoryPath(datastore.datacenter)
        if not isinstance(found, vim.Datacenter):
            raise errors.ConfigError(
                f"[{self.name}] vmware_datastores: the vCenter has no datacenter {datastore.datacenter!r}; write it"
                " with its folders"
            )
        return found

    def _found(self, content: Any, datastore: Datastore) -> Any:
        for found in self._center(content, datastore).datastore:
            if found.name == datastore.name:
                return found
        raise errors.StoreUnavailable(f"store {self.name}: one of its datastores is gone", self.name)

    def _path(self, datastore: Datastore, name: str) -> str:
        place = urlencode({"dcPath": datastore.datacenter, "dsName": datastore.name}, quote_via=quote)
        return f"/folder{quote(self._folder)}/{quote(name, safe='')}?{place}"

    def _url(self, datastore: Datastore, key: str) -> str:
        return f"vsphere://{self.conf.vmware_server_host}{self._path(datastore, key)}"

    def _parsed(self, url: str) -> tuple[Datastore, str]:
        """Raises BadLocation unless the URL names a blob of these datastores."""
        refused = errors.BadLocation(f"not a location of store {self.name}", self.name)
        try:
            key = unquote(urlsplit(url).path.rpartition("/")[2])
            if key and not key.startswith(".") and "/" not in key:
                for datastore in self._datastores:
                    if url.replace("+", "%20") == self._url(
                        datastore, key
                    ):  # blanks as Glance's driver writes them, too
                        return datastore, key
        except ValueError:  # no URL at all
            raise refused from None
        raise refused


def _datastore(store: str, text: str) -> Datastore:
    """Raises ConfigError."""
    center, colon, rest = text.partition(":")
    name, _, weight = rest.partition(":")
    if not (center.strip() and colon and name.strip()) or (weight and not weight.strip().isdecimal()):
        raise errors.ConfigError(
            f"[{store}] vmware_datastores = {text}: give DATACENTER:DATASTORE or DATACENTER:DATASTORE:WEIGHT"
        )
    return Datastore(center.strip().strip("/"), name.strip(), int(weight or 0))
