"""What several workers have embedded, put together."""

from __future__ import annotations

import torch

from physioclr.pipeline.pretrain.monitor import in_order


def test_workers_that_saw_nothing_are_left_out_and_the_order_is_that_of_one_worker() -> None:
    first = {"record": torch.tensor([0, 0, 2, 2]), "embedding": torch.tensor([[0.0], [1.0], [4.0], [5.0]])}
    second = {"record": torch.tensor([1, 1]), "embedding": torch.tensor([[2.0], [3.0]])}
    joined = in_order([first, {}, second, {}])
    assert joined["record"].tolist() == [0, 0, 1, 1, 2, 2]
    assert joined["embedding"].ravel().tolist() == [0, 1, 2, 3, 4, 5]
