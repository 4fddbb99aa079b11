from __future__ import annotations

import torch

from physioclr.method.decoder import Decoder


def test_every_sample_is_decoded_from_its_own_token() -> None:
    torch.manual_seed(0)
    decoder = Decoder(8)
    tokens = torch.randn(1, 156, 8)
    before = decoder(tokens)
    assert before.shape == (1, 12, 2500)
    for token in (0, 77, 155):
        changed = tokens.clone()
        changed[0, token] += 1
        moved = (decoder(changed) != before).any(dim=1)[0].nonzero().flatten().tolist()
        assert moved == list(range(16 * token, 2500 if token == 155 else 16 * token + 16))


def test_leads_and_samples_lie_where_the_layer_puts_them() -> None:
    torch.manual_seed(0)
    decoder = Decoder(8)
    tokens = torch.randn(2, 156, 8)
    decoded, samples = decoder(tokens), decoder.samples(decoder.hidden(tokens))
    for segment, token, lead in [(0, 0, 0), (1, 40, 11), (1, 155, 5)]:
        expected = samples[segment, token, 16 * lead : 16 * lead + 16]
        torch.testing.assert_close(decoded[segment, lead, 16 * token : 16 * token + 16], expected)


def test_all_2500_samples_are_decoded_and_not_filled_in() -> None:
    """Over different tokens no sample of any lead stays the same, the 4 behind the last whole token included."""
    torch.manual_seed(0)
    decoded = Decoder(8)(torch.randn(6, 156, 8))
    assert decoded.shape == (6, 12, 2500)
    assert (decoded.std(dim=0) > 0).all()
