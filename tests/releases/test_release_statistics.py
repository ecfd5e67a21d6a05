"""A release gives the images that its figures were taken of: G's BatchNorm has the statistics of the measurement."""

import json
import shutil

import pytest
import torch
from torch.nn import BatchNorm2d

from zoo.errors import ReleaseError
from zoo.experiments.suite import EvaluationSettings
from zoo.metrics.batchnorm import batchnorm_statistics
from zoo.metrics.evaluator import Evaluator
from zoo.metrics.protocol import batchnorm_mode
from zoo.metrics.sampling import block_seed
from zoo.releases.export import export, repack, write_release
from zoo.releases.find import SHIPPED
from zoo.releases.release import Release
from zoo.releases.statistics import protocol_of
from zoo.releases.verify import verify


def norms(module):
    return {name: part for name, part in module.named_modules() if isinstance(part, BatchNorm2d)}


def test_samples_are_the_images_that_were_measured(released):
    """To estimate them again, as an evaluation does, changes nothing."""
    card, module = Release(released / "dcgan.digits").card, Release(released / "dcgan.digits").module()
    text = card["protocol_texts"][card["statistics"]]
    assert (text["batchnorm"], text["batchnorm_samples"]) == ("reestimated", 10_000)

    def fresh(k):
        return module.sample(text["block"], seed=block_seed(text["seed"], "batchnorm", k))

    held = module.sample(16, seed=3)
    with torch.no_grad(), batchnorm_statistics(module, "reestimated", fresh, draws=1):  # of 40, in these tests
        measured = module.sample(16, seed=3)
    torch.testing.assert_close(held, measured, rtol=0, atol=1e-6)


def test_the_rest_of_the_weights_is_as_trained(finished_run, released):
    trained, module = finished_run.module("last"), Release(released / "dcgan.digits").module()
    before, now = norms(trained), norms(module)
    assert not any(torch.equal(before[name].running_mean, now[name].running_mean) for name in before if name[0] == "G")
    for name in (name for name in before if name[0] == "D"):
        assert torch.equal(before[name].running_mean, now[name].running_mean)
        assert torch.equal(before[name].running_var, now[name].running_var)
    weights = {key: value for key, value in trained.state_dict().items() if "running" not in key}
    for key, value in weights.items():
        torch.testing.assert_close(module.state_dict()[key], value, rtol=1e-3, atol=1e-5)  # of half precision


def test_figures_of_running_statistics_leave_the_training_s(finished_run, tmp_path, monkeypatch):
    few = EvaluationSettings(extractors=["lenet"], test_samples=150, batchnorm="running")
    monkeypatch.setattr("zoo.releases.figures.settings_for", lambda data: few)
    release = Release(export(finished_run, tmp_path, precision="float32"))
    assert "statistics" not in release.card
    before, now = norms(finished_run.module("last")), norms(release.module())
    assert all(torch.equal(before[name].running_mean, now[name].running_mean) for name in before)


def test_fewer_bits_have_statistics_of_their_own(released, tmp_path):
    release = Release(released / "dcgan.digits")
    again = Release(repack(release, tmp_path, name=None, precision="int8", data_dir=None))
    assert again.card["statistics"] in again.card["protocol_texts"]
    assert {claim.verdict for claim in verify(again, data_dir=None)} == {"holds"}


def test_verify_sees_other_statistics(released, tmp_path, monkeypatch):
    folder = shutil.copytree(released / "dcgan.digits", tmp_path / "dcgan.digits")
    claims = {claim.text.partition(" has the")[0]: claim.verdict for claim in verify(Release(folder), data_dir=None)}
    assert claims["G's BatchNorm"] == "holds"
    load = Release.module

    def shifted(release):
        module = load(release)
        next(part for name, part in norms(module).items() if name.startswith("G")).running_mean += 0.5
        return module

    monkeypatch.setattr(Release, "module", shifted)
    claims = {claim.text.partition(" has the")[0]: claim.verdict for claim in verify(Release(folder), data_dir=None)}
    assert claims["G's BatchNorm"] == "fails"


def test_the_same_samples_from_the_evaluator(released):
    """`zoo evaluate` of a release gives its figures with either kind of statistics."""
    from zoo.data import Digits
    from zoo.metrics.extractors import load_extractor

    module = Release(released / "dcgan.digits").module()
    values = []
    for batchnorm in ("running", "reestimated"):
        evaluator = Evaluator(
            [load_extractor("lenet")], data=Digits(resolution=32), measures=["fd"], n_fake=100, batchnorm=batchnorm
        )
        values.append(evaluator.run(module).values["fd_lenet100"])
    assert values[0] == pytest.approx(values[1], rel=1e-3)


@pytest.mark.parametrize(
    ("said", "meant"), [("reestimated", "reestimated"), ("reestimated(2000)", "reestimated"),
                        ("reestimated where there is any", "reestimated"), ("batch", "batch"), (None, "None")],
)  # fmt: skip
def test_how_protocols_say_it(said, meant):
    assert batchnorm_mode({"batchnorm": said}) == meant


def test_a_protocol_without_a_number_of_samples_is_none_of_g_s():
    """InfoGAN's measures of its codes have statistics of their own, on 2,000 fakes."""
    texts = {"a": {"batchnorm": "reestimated(2000)"}, "b": {"batchnorm": "reestimated", "batchnorm_samples": 10_000}}
    assert protocol_of({"protocols": {"code_error": "a", "fd_lenet": "b"}, "protocol_texts": texts}) == "b"
    assert protocol_of({"protocols": {"code_error": "a"}, "protocol_texts": texts}) is None


def test_a_generator_without_batchnorm_holds_none(tmp_path):
    """Its protocol may be the digits', of all papers: statistics are estimated again where there are any."""
    text = {"batchnorm": "reestimated where there is any", "batchnorm_samples": 500, "block": 250, "seed": 0}
    release = Release(SHIPPED / "wgan_gp.mnist")
    own = ("paper", "recipe", "summary", "data", "training", "evaluation", "figures")
    card = {name: release.card[name] for name in own}
    card["protocols"] = dict.fromkeys(card["figures"], "a")
    card["protocol_texts"] = {"a": {**text, "weights": "the average where one is kept"}}
    assert protocol_of(card) == "a"
    made = write_release(release.module(), tmp_path, name="a.b", precision="float32", fields=lambda: card)
    assert "statistics" not in Release(made).card


@pytest.mark.parametrize(
    "statistics",
    [{"block": 0}, {"block": 20_000}, {"batchnorm_samples": "many"}, {"seed": None}, None],
)
def test_a_card_says_how_its_statistics_were_taken(released, tmp_path, statistics):
    """A card may be made to be wrong: it is refused by its name and no traceback."""
    folder = shutil.copytree(released / "dcgan.digits", tmp_path / "dcgan.digits")
    card = Release(folder).card
    key, texts = card["statistics"], card["protocol_texts"]
    wrong = {"statistics": "absent"} if statistics is None else {"protocol_texts": {key: {**texts[key], **statistics}}}
    (folder / "card.json").write_text(json.dumps(card | wrong))
    with pytest.raises(ReleaseError, match=r"card\.json: .*(statistics|protocol_texts)"):
        list(verify(Release(folder), data_dir=None))
