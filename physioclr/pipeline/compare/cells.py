"""The cells of a comparison: which encoders and answers it needs, each named by all that it depends on.

output/encoders/METHOD-SEED-DIGEST/              a pretraining run, or an untrained encoder
    embeddings-DIGEST/                           of a target's recordings (`embed/job.py`); with `-statistics` of those
output/answers/ANSWER-TASK-FRACTION-SEED-DIGEST/ a fine-tuning run, or the same files of a fitted classifier
    noise/KIND-DB-SEED.parquet                   predictions of the test recordings under noise
output/noise/DIGEST/                             features of a target's test recordings under noise
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from physioclr import configfile, storage
from physioclr.comparison import (
    OF_AN_ENCODER,
    PARTS,
    TRAINED,
    Answer,
    CompareConfig,
    ComparedMethod,
    TargetConfig,
)
from physioclr.config import NoiseConfig, PrepareConfig, PretrainConfig, TokenPool
from physioclr.downstream import EmbedConfig, FinetuneConfig
from physioclr.evaluation.tasks import get_task
from physioclr.pipeline.compare.noisy import level_name
from physioclr.pipeline.prepare.layout import SPLITS
from physioclr.pipeline.run import MACHINE_KEYS, run_uri

# Keys that came later, with what they were before: where they are that, a cell is called what it was called then.
LATER_KEYS = {
    "ablation": None,
    "dataset.features.noise": None,
    "token_pool": "mean",
    "head": "random",
    "training.epoch_steps": 1,
    "augment": {"crops": False, "mask_leads": 0.0},
}


@dataclass(frozen=True)
class EncoderCell:
    """An encoder to be made: `config` says how, unless it stays untrained."""

    config: PretrainConfig
    untrained: bool

    @property
    def uri(self) -> str:
        """Its folder, a run's."""
        return run_uri(self.config)

    @property
    def encoder(self) -> str:
        """Where it is exported."""
        return storage.join(self.uri, "encoder")


@dataclass(frozen=True)
class NoisyTest:
    """The rows that a target is tested on, splits of a dataset, at levels of noise. `uri`: where their features go."""

    dataset: PrepareConfig
    splits: tuple[str, ...]
    levels: tuple[NoiseConfig, ...]
    uri: str

    def features(self, level: NoiseConfig) -> str:
        """The file of the features at a level."""
        return storage.join(self.uri, f"{level_name(level)}.parquet")


@dataclass(frozen=True)
class NoisyEmbeddings:
    """`rows` at their levels of noise, embedded to files in the folder `uri`."""

    rows: NoisyTest
    token_pool: TokenPool
    uri: str


@dataclass(frozen=True)
class AnswerCell:
    """An answer to be found. `config` says what is asked of which recordings; for those of `TRAINED` it is a run.

    `parts` are the cells that have to be done before, of an answer that is a mean of others' log-odds.
    """

    method: str
    answer: Answer
    target: str
    datasets: tuple[PrepareConfig, ...]
    config: FinetuneConfig
    encoder: EncoderCell | None
    parts: tuple[AnswerCell, ...] = ()
    noise: NoisyTest | None = None

    @property
    def uri(self) -> str:
        """Its folder."""
        return run_uri(self.config)

    @property
    def embeddings(self) -> tuple[EmbedConfig, ...]:
        """How the recordings of each of the target's datasets are embedded, and where to."""
        return tuple(map(self._embedded, self.datasets))

    @property
    def noisy_embeddings(self) -> NoisyEmbeddings:
        """The embeddings of the test recordings at each level of `noise`."""
        assert self.noise is not None, "only asked where there are levels"
        folder = storage.join(self._embedded(self.noise.dataset).uri, "noise", "-".join(self.noise.splits))
        return NoisyEmbeddings(self.noise, self.config.token_pool, folder)

    def _embedded(self, dataset: PrepareConfig) -> EmbedConfig:
        assert self.encoder is not None, "only answers of an encoder have embeddings"
        how = self.config.token_pool
        name = f"embeddings-{_digest(_identity(dataset))}" + ("" if how == "mean" else f"-{how}")
        return EmbedConfig(
            encoder=self.encoder.encoder,
            prepared=dataset.uri,
            uri=storage.join(self.encoder.uri, name),
            token_pool=how,
            device=self.encoder.config.training.device,
        )

    def under_noise(self, level: NoiseConfig) -> str:
        """The file of the predictions at a level."""
        return storage.join(self.uri, "noise", f"{level_name(level)}.parquet")

    @property
    def row(self) -> str:
        """METHOD/ANSWER."""
        return f"{self.method}/{self.answer}"

    @property
    def column(self) -> str:
        """TASK PERCENT of the target."""
        return f"{self.config.task} {100 * self.config.label_fraction:g} %"

    @property
    def seed(self) -> int:
        """Of weights, order and choice of patients."""
        return self.config.subset_seed

    @property
    def trained(self) -> bool:
        """Whether Ray Train is needed."""
        return self.answer in TRAINED

    @property
    def made_of(self) -> tuple[AnswerCell, ...]:
        """The cells that are trained or fitted for this one: itself, or its parts."""
        return self.parts or (self,)


def cells(config: CompareConfig) -> tuple[list[EncoderCell], list[AnswerCell]]:
    """Encoders, each once, and answers in the order of the table. Raises `ConfigError` where a method's own keys do not
    fit, or for a task that there is not."""
    for task in (task for target in config.targets.values() for task in target.tasks):
        get_task(task)
    encoders: dict[str, EncoderCell] = {}
    answers = []
    for name, method in config.methods.items():
        for answer in method.answers:
            for seed in config.seeds:
                pretrain = _pretrain(config, name, method, seed)
                encoder = _encoder(config, pretrain, method) if answer in OF_AN_ENCODER else None
                if encoder is not None:
                    encoder = encoders.setdefault(encoder.uri, encoder)
                answers += list(_answers(config, name, method, answer, pretrain, encoder))
    return list(encoders.values()), answers


def _pretrain(config: CompareConfig, name: str, method: ComparedMethod, seed: int) -> PretrainConfig:
    """A method's pretraining; of one without an encoder only the model counts."""
    values = _merged(config.pretrain.model_dump(mode="json"), method.pretrain)
    values["training"]["seed"] = seed
    return configfile.validate(PretrainConfig, values, f"methods.{name}.pretrain")


def _encoder(config: CompareConfig, whole: PretrainConfig, method: ComparedMethod) -> EncoderCell:
    seed = whole.training.seed
    if method.untrained:
        identity: Any = {"untrained": whole.model.model_dump(mode="json"), "seed": seed}
        kind = "untrained"
    else:
        identity, kind = _identity(whole), whole.method.name
    named = {"name": f"{kind}-{seed}-{_digest(identity)}", "output": storage.join(config.output, "encoders")}
    return EncoderCell(whole.model_copy(update=named), method.untrained)


def _answers(
    config: CompareConfig,
    name: str,
    method: ComparedMethod,
    answer: Answer,
    pretrain: PretrainConfig,
    encoder: EncoderCell | None,
) -> Iterator[AnswerCell]:
    scored, *_ = of = PARTS.get(answer, (answer,))
    seed = pretrain.training.seed
    base = _merged(config.finetune.model_dump(mode="json"), method.finetune)
    base["training"]["seed"] = seed
    base |= {
        "mode": scored if scored in TRAINED else "probe" if encoder else "scratch",
        "encoder": encoder.encoder if encoder else None,
        "subset_seed": seed,
        "model": pretrain.model.model_dump(mode="json"),
        "output": storage.join(config.output, "answers"),
    }
    parts: Iterator[tuple[AnswerCell, ...]] = repeat(())
    if len(of) > 1:
        whose = {part: encoder if part in OF_AN_ENCODER else None for part in of}
        parts = zip(*(_answers(config, name, method, part, pretrain, one) for part, one in whose.items()), strict=True)
    for target, asked in config.targets.items():
        for task in asked.tasks:
            for fraction in config.fractions:
                values = base | {"prepared": asked.dataset.uri, "task": task, "label_fraction": fraction}
                datasets = (asked.dataset,) if asked.test is None else (asked.dataset, asked.test)
                values["test"] = None if asked.test is None else asked.test.uri
                whole = configfile.validate(FinetuneConfig, values, f"methods.{name}.finetune")
                identity = _identity(whole) | {"answer": answer, "dataset": _identity(asked.dataset)}
                identity["test"] = None if asked.test is None else _identity(asked.test)
                identity["encoder"] = encoder.config.name if encoder else None
                if scored not in ("finetune", "all"):
                    identity.pop("head", None)
                if scored not in TRAINED:  # nothing of the training loop matters to what is fitted
                    no_part = ("optimiser", "training", "model", "augment") + (() if encoder else ("token_pool",))
                    identity = {key: value for key, value in identity.items() if key not in no_part}
                cell = f"{answer}-{task}-{100 * fraction:g}-{seed}-{_digest(identity)}"
                whole = whole.model_copy(update={"name": cell})
                yield AnswerCell(name, answer, target, datasets, whole, encoder, next(parts), _noisy(config, asked))


def _noisy(config: CompareConfig, asked: TargetConfig) -> NoisyTest | None:
    if config.noise is None:
        return None
    dataset, splits = (asked.dataset, ("test",)) if asked.test is None else (asked.test, tuple(SPLITS))
    uri = storage.join(config.output, "noise", f"{_digest(_identity(dataset))}-{'-'.join(splits)}")
    return NoisyTest(dataset, splits, config.noise.levels, uri)


def _identity(config: PretrainConfig | FinetuneConfig | PrepareConfig) -> dict[str, Any]:
    """What decides the result: not the names of folders it is written to, nor what is said of machines."""
    values = config.model_dump(mode="json")
    for key in ("name", "output"):
        values.pop(key, None)
    prefix = "dataset." if isinstance(config, PrepareConfig) else ""
    for dotted in (*MACHINE_KEYS, *LATER_KEYS):
        *parents, last = dotted.removeprefix(prefix).split(".")
        node = values
        for part in parents:
            node = node.get(part, {})
        if dotted not in LATER_KEYS or node.get(last) == LATER_KEYS[dotted]:
            node.pop(last, None)
    return values


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]


def _merged(base: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """`base` with what `other` says, section by section; another `method` has none of the base's values."""
    merged = dict(base)
    for key, value in other.items():
        inner = merged.get(key)
        merged[key] = (
            _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) and key != "method" else value
        )
    return merged
