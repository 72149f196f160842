"""Scores of papers, to stand beside a run. Frechet distances are better when smaller, the others when larger.

VideoPoet's own rows are in its paper (Kondratyuk et al. 2024, arXiv:2312.14125) and on public listings of
results; what is marked "recalled" was written down from memory of that paper's tables and not read again.
"""

from .benchmark import Published

_VIDEOPOET = "arXiv:2312.14125, table 2; public listing of results"
_RECALLED = "arXiv:2312.14125, table 2, recalled"
_WALT = "arXiv:2312.06662"

MSR_VTT = (
    Published("VideoPoet 8B, pretrained", {"clipsim": 0.3049, "fvd": 213}, _VIDEOPOET),
    Published("VideoPoet 8B, task-adapted", {"clipsim": 0.3123}, _VIDEOPOET),
    Published("Show-1", {"clipsim": 0.3072, "fvd": 538}, _VIDEOPOET),
    Published("Make-A-Video", {"clipsim": 0.3049}, _VIDEOPOET),
    Published("VideoFactory", {"clipsim": 0.3005}, _RECALLED),
    Published("InternVid", {"clipsim": 0.2951}, _RECALLED),
    Published("ModelScopeT2V", {"clipsim": 0.2930, "fvd": 550}, _RECALLED),
    Published("Video LDM", {"clipsim": 0.2929}, _RECALLED),
    Published("CogVideo (English)", {"clipsim": 0.2631, "fvd": 1294}, _VIDEOPOET),
    Published("MagicVideo", {"fvd": 998}, _RECALLED),
)
UCF101 = (
    Published("VideoPoet 8B, pretrained", {"fvd": 355, "is": 38.44}, _VIDEOPOET),
    Published("W.A.L.T 3B", {"fvd": 258.1, "is": 35.1}, _WALT),
    Published("Show-1", {"fvd": 394, "is": 35.42}, _VIDEOPOET),
    Published("Make-A-Video", {"fvd": 367, "is": 33.00}, _VIDEOPOET),
    Published("VideoFactory", {"fvd": 410}, _RECALLED),
    Published("ModelScopeT2V", {"fvd": 410}, _RECALLED),
    Published("Video LDM", {"fvd": 551, "is": 33.45}, _WALT),
    Published("InternVid", {"fvd": 617, "is": 21.04}, _RECALLED),
    Published("MagicVideo", {"fvd": 655}, _RECALLED),
    Published("CogVideo (English)", {"fvd": 702, "is": 25.27}, _WALT),
)
_TABLE_1 = "arXiv:2312.14125, table 1"
_TABLE_1_RECALLED = f"{_TABLE_1}, recalled"
KINETICS600 = (
    Published("VideoPoet 8B, zero-shot", {"fvd": 687}, _TABLE_1),
    Published("VideoPoet 300M, all tasks, zero-shot", {"fvd": 729}, _TABLE_1),
    Published("MAGVIT-v2, trained on it, 64x64", {"fvd": 4.3}, "arXiv:2310.05737"),
    Published("LARP-L-Long, trained on it, 64x64", {"fvd": 5.1}, "its README"),
    Published("MAGVIT-L, trained on it, 64x64", {"fvd": 9.9}, "arXiv:2212.05199"),
    Published("NBP 3B, trained on it", {"fvd": 19.5}, "its README"),
    Published("Phenaki, trained on it", {"fvd": 36.4}, "arXiv:2212.05199"),
)
SSV2_INPAINTING = (
    Published("VideoPoet 8B, zero-shot", {"fvd": 4.7}, _TABLE_1),
    Published("VideoPoet 300M, all tasks, zero-shot", {"fvd": 127}, _TABLE_1_RECALLED),
    Published("MAGVIT-L, multi-task, trained on it", {"fvd": 13.5}, "arXiv:2212.05199, table 12"),
)
SSV2_OUTPAINTING = (
    Published("VideoPoet 8B, zero-shot", {"fvd": 13.76}, _TABLE_1),
    Published("VideoPoet 300M, all tasks, zero-shot", {"fvd": 636}, _TABLE_1_RECALLED),
    Published("MAGVIT-L, multi-task, trained on it", {"fvd": 21.1}, "arXiv:2212.05199, table 12"),
)
DAVIS = (
    Published("VideoPoet", {"clipsim": 0.3417}, "arXiv:2312.14125, table 3; public listing of results"),
    Published("Control-A-Video, depth", {"clipsim": 0.3246}, "arXiv:2312.14125, table 3"),
)
