import lab
import pytest


class Vcenter:
    """The simulator: where it is, how its files are looked at behind its back, and how it is made to hang."""

    def __init__(self):
        backend = lab.backend("vcsim")
        self.settings = backend.settings
        self.host = backend.url.removeprefix("https://").removesuffix("/sdk")
        self.datastores = lab.LAB / "vcsim" / "datastores"

    def options(self, *datastores, **more):
        return {
            "vmware_server_host": self.host,
            "vmware_server_username": self.settings["VCSIM_USER"],
            "vmware_server_password": self.settings["VCSIM_PASSWORD"],
            "vmware_ca_file": self.settings["VCSIM_CA"],
            "vmware_datastores": list(datastores or ("DC0:LocalDS_0",)),
            "vmware_task_poll_interval": 0.01,
            "vmware_http_timeout": 3,
            **more,
        }

    def folder(self, center="DC0", name="LocalDS_0"):
        [found] = self.datastores.glob(f"govcsim-{center}-{name}-*")
        return found

    def freeze(self):
        lab.freeze(self.pid)

    def thaw(self):
        lab.thaw(self.pid)

    @property
    def pid(self):
        return int((lab.LAB / "vcsim" / "server.pid").read_text().split()[0])


@pytest.fixture(scope="session")
def vcenter():
    return Vcenter()
