"""What Illumina's instruments write of a run before anybody has made FASTQs: plan, base calls, and that it is over.

A few stubs stand for hundreds of thousands of base call files, in the folders they really lie in. `illumina.py` and
`dragen.py` go on from here with what Reporter, Local Run Manager and DRAGEN add.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.runs.gzips import one_member
from tests.runs.instruments.content import BASE_CALLS
from tests.runs.instruments.sheets import SINGLE_INDEX, Machine
from tests.runs.run_folders import Tree

CALLS = "Data/Intensities/BaseCalls"

MISEQ = Machine(
    "260228_M02439_0043_000000000-KT42M", "M02439", 42, "000000000-KT42M", "260228", "MiSeq Control Software",
    parameters="runParameters.xml",
)  # fmt: skip
MISEQ_4 = Machine(
    "260228_M70543_0012_000000000-LB7CV", "M70543", 12, "000000000-LB7CV", "2026-02-28T14:02:11Z",
    "MiSeq Control Software", version=6,
)  # fmt: skip
MINISEQ = Machine(
    "260228_MN00218_0310_A000H5VWKN", "MN00218", 310, "000H5VWKN", "2/28/2026 2:02:11 PM", "MiniSeq Control Software",
    surfaces=1, swaths=3, tiles=10, version=4,
)  # fmt: skip
ISEQ = Machine(
    "20260228_FS10000507_18_BPC29604-1714", "FS10000507", 18, "BPC29604-1714", "2/28/2026 2:02:11 PM",
    "iSeq Control Software", surfaces=1, tiles=16, version=5,
)  # fmt: skip
NEXTSEQ_550 = Machine(
    "260228_NB551051_0017_AHLFFJBGX2", "NB551051", 17, "HLFFJBGX2", "260228", "NextSeq Control Software",
    lanes=4, swaths=3, tiles=12, version=4, reads=SINGLE_INDEX,
)  # fmt: skip
HISEQ_2500 = Machine(
    "260228_SN7001179_0208_BC59Y4ACXX", "SN7001179", 208, "C59Y4ACXX", "260228", "HiSeq Control Software",
    lanes=8, swaths=3, tiles=16, parameters="runParameters.xml",
)  # fmt: skip
HISEQ_4000 = Machine(
    "260228_K00340_0084_AHM7NYBBXX", "K00340", 84, "HM7NYBBXX", "260228", "HiSeq Control Software",
    lanes=8, swaths=2, tiles=28, version=4, parameters="runParameters.xml",
)  # fmt: skip
HISEQ_X = Machine(
    "260228_ST-E00266_0210_BHJCFFALXX", "ST-E00266", 210, "HJCFFALXX", "260228", "HiSeq Control Software",
    lanes=8, swaths=2, tiles=24, version=4, parameters="runParameters.xml",
)  # fmt: skip
NOVASEQ_6000 = Machine(
    "260228_A00187_1009_AHK33MDRX3", "A00187", 1009, "HK33MDRX3", "2/28/2026 5:26:34 PM", "NovaSeq Control Software",
    lanes=2, swaths=4, tiles=78, version=5,
)  # fmt: skip
NEXTSEQ_2000 = Machine(
    "260228_VH01314_137_2222T3KNX", "VH01314", 137, "2222T3KNX", "2026-02-28T23:12:55Z", "NextSeq 1000/2000 Control",
    lanes=2, tiles=66, version=6,
)  # fmt: skip
# The date in RunInfo.xml is UTC, that of the folder the day before.
NOVASEQ_X = Machine(
    "20260228_LH00188_0028_B22F52TLT3", "LH00188", 28, "22F52TLT3", "2026-03-01T01:47:17Z", "NovaSeq X Control",
    lanes=8, swaths=2, tiles=98, version=6,
)  # fmt: skip
MISEQ_I100 = Machine(
    "20260228_SL00123_0007_ASC2139476", "SL00123", 7, "SC2139476", "2026-02-28T14:02:11Z", "MiSeq i100 Series Control",
    surfaces=1, tiles=50, version=6,
)  # fmt: skip


def run_folder(machine: Machine, sheet: bytes = b"") -> Tree:
    """Return a run folder as it is right after the start: the plan and nothing else."""
    tree = Tree(machine.run).add("RunInfo.xml", machine.run_info())
    tree.add(machine.parameters, machine.run_parameters()).add("Recipe/Recipe.xml", b"<Recipe/>")
    tree.add("Config/Effective.cfg", b"[run]\n").add("Logs/RunLog.log", b"cycle 1\n")
    return tree.add("SampleSheet.csv", sheet) if sheet else tree


def call_rta1(tree: Tree, machine: Machine) -> Tree:
    """Add the base calls of RTA 1 (MiSeq, HiSeq 2500) and its copy of each read; images and their positions too."""
    for lane in range(1, machine.lanes + 1):
        tree.add(f"Data/Intensities/L{lane:03d}/s_{lane}_1101.locs", BASE_CALLS)
        tree.add(f"{CALLS}/L{lane:03d}/C1.1/s_{lane}_1101.bcl", BASE_CALLS)
        tree.add(f"{CALLS}/L{lane:03d}/C1.1/s_{lane}_1101.stats", BASE_CALLS)
        tree.add(f"Thumbnail_Images/L{lane:03d}/C1.1/s_{lane}_1101_a.jpg", BASE_CALLS)
    for number in range(1, len(machine.reads) + 1):
        tree.add(f"ImageAnalysis_Netcopy_complete_Read{number}.txt", b"2/28/2026,14:02:11\r\n")
        tree.add(f"Basecalling_Netcopy_complete_Read{number}.txt", b"2/28/2026,14:02:13\r\n")
    for lane in range(1, machine.lanes + 1):
        tree.add(f"{CALLS}/L{lane:03d}/s_{lane}_1101.filter", BASE_CALLS)
    tree.add("InterOp/TileMetricsOut.bin", BASE_CALLS)
    tree.add("ImageAnalysis_Netcopy_complete.txt", b"").add("Basecalling_Netcopy_complete.txt", b"")
    return tree.add("RTAComplete.txt", b"2/28/2026,18:40:01.273,Illumina RTA 1.18.54\r\n")


def call_rta2(tree: Tree, machine: Machine, *, by_lane: bool = True) -> Tree:
    """Add the base calls of RTA 2: one file for each lane and cycle, or for each tile; a marker for each read."""
    for lane in range(1, machine.lanes + 1):
        place = f"{CALLS}/L{lane:03d}"
        if by_lane:
            tree.add(f"{place}/0001.bcl.bgzf", BASE_CALLS).add(f"{place}/0001.bcl.bgzf.bci", BASE_CALLS)
            tree.add(f"{place}/s_{lane}.bci", BASE_CALLS).add(f"{place}/s_{lane}.filter", BASE_CALLS)
        else:
            tree.add(f"{place}/C1.1/s_{lane}_1101.bcl.gz", one_member(BASE_CALLS))
            tree.add(f"{place}/s_{lane}_1101.filter", BASE_CALLS)
    for number in range(1, len(machine.reads) + 1):
        tree.add(f"RTARead{number}Complete.txt", f"RTA 2.11.3 completed read {number}\r\n".encode())
    return tree.add("Data/Intensities/s.locs", BASE_CALLS).add("InterOp/TileMetricsOut.bin", BASE_CALLS)


def call_rta3(tree: Tree, machine: Machine, surfaces: Sequence[int] = (1, 2)) -> Tree:
    """Add the base calls of RTA 3 and 4: one file for each lane, cycle and surface."""
    for lane in range(1, machine.lanes + 1):
        place = f"{CALLS}/L{lane:03d}"
        for surface in surfaces[: machine.surfaces]:
            tree.add(f"{place}/C1.1/L{lane:03d}_{surface}.cbcl", BASE_CALLS)
        tree.add(f"{place}/s_{lane}_1101.filter", BASE_CALLS)
    tree.add("Data/Intensities/s.locs", BASE_CALLS)
    return tree.add("InterOp/C1.1/BasecallingMetricsOut.bin", BASE_CALLS)
