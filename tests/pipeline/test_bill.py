"""Hours and money from samples, rates and machines."""

from __future__ import annotations

import pytest

from physioclr.comparison import CostConfig
from physioclr.config import ModelConfig, PrepareConfig, SourceConfig, TrainingConfig
from physioclr.costs import CostTable, TrainingRate
from physioclr.pipeline.bill import Work, bill, facts_of, in_worker_hours, preparing, training

TABLE = CostTable.model_validate(
    {
        "date": "2025-01-01",
        "source": "made up",
        "currency": "USD",
        "machines": {
            "small": {"cpus": 2, "on_demand": 1.0},
            "many": {"cpus": 10, "on_demand": 3.0},
            "gpu": {"cpus": 8, "gpus": 2, "on_demand": 20.0, "spot": 8.0},
        },
        "plan": {"head": "small", "data": "many", "data_machines": 3, "training": "gpu", "market": "spot"},
        "rates": {
            "source": "elsewhere",
            "prepare_local": 10.0,
            "prepare_remote": 5.0,
            "pretrain": {"small": {"cpu": 2.0, "gpu": 100.0}, "base": {"cpu": 1.0}},
        },
    }
)
RATES = TABLE.rates.pretrain


def pretraining(samples: int, size: str = "small", **keys: object) -> Work:
    config = TrainingConfig.model_validate({"workers": 4, **keys})
    return training("pretraining", samples, ModelConfig.model_validate({"size": size}), config, RATES, TABLE)


def test_hours_are_samples_by_rate_and_workers_and_money_is_by_machines() -> None:
    one = bill(pretraining(4 * 100 * 3600), TABLE)
    assert one is not None
    assert (one.worker_hours, one.hours) == (4.0, 1.0)
    assert one.money == 2 * 8.0, "four GPUs are two machines, on spot"


def test_workers_whose_number_changes_are_counted_at_their_most() -> None:
    assert pretraining(1, workers=(1, 4), batch_size=48).workers == 4


def test_on_cpus_a_worker_has_a_machine_for_data() -> None:
    work = pretraining(4 * 2 * 3600, device="cpu")
    one = bill(work, TABLE)
    assert (work.machine, work.machines, work.market) == ("many", 4, "on_demand")
    assert one is not None
    assert (one.hours, one.money) == (1.0, 12.0)


def test_preparing_takes_all_cpus_of_its_machines() -> None:
    local = PrepareConfig(sources=(SourceConfig(uri="/data"),))
    remote = PrepareConfig(sources=(SourceConfig(uri="s3://bucket/data"),))
    one, slower = (bill(preparing(config, 30 * 10 * 3600, TABLE), TABLE) for config in (local, remote))
    assert one is not None
    assert slower is not None
    assert (one.hours, one.money) == (1.0, 9.0)
    assert slower.hours == 2.0
    fewer = preparing(local.model_copy(update={"workers": 10}), 1, TABLE)
    assert fewer.machines == 1


def test_what_is_not_known_is_not_invented() -> None:
    work = pretraining(1_000, "base")  # no rate on GPUs
    assert bill(work, TABLE) is None
    facts = facts_of([preparing(PrepareConfig(), 30 * 10 * 3600, TABLE), work], TABLE)
    assert facts["hours"]["pretraining"].startswith("not known: there is no rate for gpu")
    assert facts["hours"]["preparing"].startswith("1.00, at 10 a second")
    assert facts["money"] == "10.00 USD; pretraining is not known, 17.00 USD an hour", "with the head's hours"


def test_facts_name_machines_and_the_date_of_the_prices() -> None:
    facts = facts_of([pretraining(1)], TABLE)
    assert facts["machines"] == "head: small; pretraining: 2 x gpu on spot"
    assert facts["prices"] == "of 2025-01-01, made up"
    assert "stated: elsewhere" in facts["hours"]["pretraining"]
    assert facts_of([pretraining(0)], TABLE) == {}, "nothing to do costs nothing"


def test_a_machine_without_a_price_on_spot_is_named() -> None:
    gpu = TABLE.machines["gpu"].model_copy(update={"spot": None})
    table = TABLE.model_copy(update={"machines": {**TABLE.machines, "gpu": gpu}})
    assert "pretraining has no price" in facts_of([pretraining(3600 * 400)], table)["money"]


def test_many_runs_are_counted_in_worker_hours() -> None:
    work = pretraining(100 * 3600 * 6)
    assert in_worker_hours([work], CostConfig(), TABLE)["cost"].startswith(
        "24 USD for 6.0 worker-hours; prices of 2025"
    )
    unknown = in_worker_hours([pretraining(1, "base")], CostConfig(), TABLE)
    assert unknown["a worker's machine"] == "gpu on spot, 4.00 USD an hour of a worker"
    assert "how long is not known" in unknown["pretraining"]
    stated = in_worker_hours([work], CostConfig(worker_hour=10.0, currency="EUR"), TABLE)
    assert stated["cost"] == "60 EUR for 6.0 worker-hours"


def test_a_rate_that_was_measured_goes_before_the_tables() -> None:
    work = training("x", 1, ModelConfig(size="small"), TrainingConfig(), {"small": TrainingRate(gpu=1.0)}, TABLE, 7.0)
    assert work.rate == 7.0


@pytest.mark.parametrize("samples", [1, 10])
def test_short_work_is_said_to_be_short(samples: int) -> None:
    assert facts_of([pretraining(samples)], TABLE)["hours"]["pretraining"].startswith("less than 0.01")
