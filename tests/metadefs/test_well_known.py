"""The definitions that come with the service have the namespaces, keys and prefixes that Nova, Cinder and Horizon
know."""

from __future__ import annotations

from typing import Any

import pytest

from glancecore.cmd.metadefs import files_of, read_namespace, starter_set
from glancecore.domain.metadef import Namespace

IMAGE, VOLUME, FLAVOR = "OS::Glance::Image", "OS::Cinder::Volume", "OS::Nova::Flavor"
PLAIN = {IMAGE: None}
HARDWARE = {IMAGE: "hw_", FLAVOR: "hw:"}
#: Namespace -> (resource type -> prefix, keys).
FACTS: dict[str, tuple[dict[str, str | None], str]] = {
    "OS::Compute::LibvirtImage": (
        PLAIN,
        (
            "hw_cdrom_bus hw_disk_bus hw_firmware_type hw_firmware_stateless hw_rng_model hw_machine_type hw_scsi_model"
            " hw_video_model hw_video_ram os_command_line os_type hw_vif_model hw_vif_multiqueue_enabled hw_pmu"
            " hw_qemu_guest_agent hw_pointer_model img_hide_hypervisor_id"
        ),
    ),
    "OS::Compute::Libvirt": (
        HARDWARE,
        "serial_port_count boot_menu mem_encryption mem_encryption_model virtio_packed_ring",
    ),
    "OS::Compute::Hypervisor": (PLAIN, "hypervisor_type vm_mode"),
    "OS::Compute::VirtCPUTopology": (
        {**HARDWARE, VOLUME: "hw_"},
        "cpu_sockets cpu_cores cpu_threads cpu_max_sockets cpu_max_cores cpu_max_threads",
    ),
    "OS::Compute::Watchdog": ({**HARDWARE, VOLUME: "hw_"}, "watchdog_action"),
    "OS::Compute::CPUPinning": ({**HARDWARE, VOLUME: "hw_"}, "cpu_policy cpu_thread_policy"),
    "OS::Compute::GuestMemoryBacking": ({**HARDWARE, VOLUME: "hw_"}, "mem_page_size"),
    "OS::Compute::GuestShutdownBehavior": (PLAIN, "os_shutdown_timeout"),
    "OS::Compute::TPM": (HARDWARE, "tpm_model tpm_version"),
    "OS::Compute::InstanceData": ({IMAGE: None, VOLUME: None}, "img_config_drive os_require_quiesce"),
    "OS::Compute::VMware": (PLAIN, "img_linked_clone vmware_adaptertype vmware_disktype vmware_ostype"),
    "OS::Compute::XenAPI": (PLAIN, "auto_disk_config"),
    "OS::Glance::CommonImageProperties": ({}, "kernel_id ramdisk_id architecture os_distro os_version"),
    "OS::Glance::Signatures": (
        PLAIN,
        "img_signature img_signature_certificate_uuid img_signature_hash_method img_signature_key_type",
    ),
    "OS::OperatingSystem": ({IMAGE: None, VOLUME: None}, "os_distro os_version os_admin_user"),
}
VALUES = {
    ("OS::Compute::Libvirt", "mem_encryption_model"): {"amd-sev", "amd-sev-es", "amd-sev-snp"},
    ("OS::Compute::Libvirt", "boot_menu"): {"true", "false"},
    ("OS::Compute::LibvirtImage", "hw_qemu_guest_agent"): {"yes", "no"},
    ("OS::Compute::LibvirtImage", "hw_firmware_type"): {"bios", "uefi"},
    ("OS::Compute::Watchdog", "watchdog_action"): {"disabled", "reset", "poweroff", "pause", "none"},
}


def _definitions(namespace: Namespace) -> dict[str, Any]:
    return {x.name: x.definition for x in namespace.properties}


@pytest.fixture(scope="module")
def shipped() -> dict[str, Namespace]:
    return {x.name: x for x in map(read_namespace, files_of(starter_set()))}


def test_all_namespaces_are_well_known(shipped: dict[str, Namespace]) -> None:
    assert set(shipped) == set(FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_a_namespace_has_the_known_keys_and_prefixes(shipped: dict[str, Namespace], name: str) -> None:
    prefixes, keys = FACTS[name]
    assert set(keys.split()) - set(_definitions(shipped[name])) == set()
    found = {x.name: x.prefix or None for x in shipped[name].associations}
    assert {key: found.get(key, "absent") for key in prefixes} == prefixes


@pytest.mark.parametrize(("name", "key"), VALUES)
def test_a_property_takes_the_known_values(shipped: dict[str, Namespace], name: str, key: str) -> None:
    assert set(_definitions(shipped[name])[key]["enum"]) == VALUES[name, key]
