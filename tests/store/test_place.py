"""Network file systems are told from local ones by the kernel's list of mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from watcher.errors import StateError
from watcher.model import NETWORK_FILE_SYSTEMS
from watcher.store.place import refuse_network_disk

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 27 0:40 / /data rw,relatime shared:7 master:2 - nfs4 filer:/export/data rw,vers=4.2
31 30 254:1 / /data/local rw - xfs /dev/vdb rw
32 27 0:41 / /mnt/with\040blank rw - cifs //filer/share\040one rw
33 27 0:42 / /scratch rw - lustre mds@tcp:/scratch rw
34 27 0:43 / /home/anna/remote rw - fuse.sshfs anna@host:/home rw
35 27 254:2 / /over rw - ext4 /dev/vdc rw
36 27 0:44 / /over rw - 9p share rw
37 27 0:45 / /under rw - nfs old:/export rw
38 27 254:3 / /under rw - btrfs /dev/vdd rw
39 27 0:46 / /gpfs rw - gpfs gpfs0 rw
40 27 0:47 / /cephfs rw - ceph mon:/ rw
41 27 0:48 / /zpool rw - zfs zpool rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "fstype"),
    [
        ("/data/state.sqlite", "nfs4 filer:/export/data"),
        ("/mnt/with blank/deep/er/state.sqlite", "cifs //filer/share one"),
        ("/scratch/s", "lustre"),
        ("/home/anna/remote/s", "fuse.sshfs"),
        ("/over/s", "9p"),
        ("/gpfs/s", "gpfs"),
        ("/cephfs/s", "ceph"),
    ],
)
def test_network_disks_are_refused(path: str, fstype: str) -> None:
    """The mount that covers the file decides; the message names type and source, the hint what to do."""
    with pytest.raises(StateError, match=f"network file system \\({fstype}") as refused:
        refuse_network_disk(Path(path), MOUNTS)
    assert "PostgreSQL" in refused.value.hint


@pytest.mark.parametrize("path", ["/var/lib/s", "/data/local/s", "/database/s", "/under/s", "/zpool/s", "/mnt/with"])
def test_local_disks_are_taken(path: str) -> None:
    """A local disk below a network one, a longer name, and a local mount over a network one are fine."""
    refuse_network_disk(Path(path), MOUNTS)


@pytest.mark.parametrize("fstype", ["panfs", "wekafs", "fuse.cephfs", "virtiofs", "nfs3", "smb"])
def test_network_file_systems_are_known_by_their_type(fstype: str) -> None:
    """Cluster and user-space file systems count; a local disk behind `fuseblk` does not."""
    assert NETWORK_FILE_SYSTEMS.fullmatch(fstype)
    assert not NETWORK_FILE_SYSTEMS.fullmatch("fuseblk")
