import pickle
import typing

import pytest

from physioclr.config import SourceConfig
from physioclr.sources.registry import open_source

KINDS = typing.get_args(SourceConfig.model_fields["kind"].annotation)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_the_configuration_opens_a_source_that_can_be_sent_to_workers(kind):
    source = pickle.loads(pickle.dumps(open_source(SourceConfig(kind=kind))))
    assert callable(source.list)
    assert callable(source.read)
    assert source.config.kind == kind
