"""Numbers of WGAN and WGAN-GP that stand in running text, against the committed records and the code."""

from pages import last_values, record, text_of

from zoo.models.wgan import WGAN
from zoo.training.scripts import script_of


def test_distances_of_the_toy_scripts_points() -> None:
    text, found = text_of("docs/wgan_gp.md"), record("wgan_gp-study-toys")["findings"]
    first, second, third = (
        f"{found[f'wasserstein_exact of data, {name}']:.3f} +/- {found[f'wasserstein_exact of data, {name}_std']:.3f}"
        for name in ("8gaussians", "25gaussians", "swissroll")
    )
    assert f"as far apart, {first}, {second} and {third} (twenty pairs of each)" in text
    a, b, c = (last_values("wgan_gp-study-toys", name)[0] for name in ("8gaussians", "25gaussians", "swissroll"))
    shares = f"{100 * a['share_high_quality']:.1f} % (8 Gaussians) and {100 * b['share_high_quality']:.1f} % (25)"
    assert shares in text
    distances = [f"{values['wasserstein_exact']:.3f}" for values in (a, b, c)]
    assert f"test points is {distances[0]}, {distances[1]} and {distances[2]} (swiss roll)" in text


def test_how_far_the_critics_of_figure_5b_overfit() -> None:
    text, gaps = text_of("docs/wgan_gp.md"), ("critic_gap_train", "critic_gap_validation")
    (penalty,), (clipping,) = (last_values("wgan_gp-study-overfitting", name) for name in ("penalty", "clipping"))
    train, held_out = (f"{penalty[gap]:.2f}" for gap in gaps)
    assert f"from samples by {train} and 1,000 held-out ones by {held_out}" in text
    assert f"part late and little ({clipping[gaps[0]]:.3f} and {clipping[gaps[1]]:.3f})" in text
    runs = record("wgan_gp-study-overfitting")["records"]
    assert {(run["images_seen"], run["generator_steps"]) for run in runs.values()} == {(500_000, 2_000)}
    distances = {name: run["measures"]["fd_lenet2k"] for name, run in runs.items()}
    assert all(found["best"] == found["last"] for found in distances.values())
    assert f"(`fd_lenet2k` is least at the end, {distances['penalty']['last']['value']:.0f})" in text
    assert f"G behind ({distances['clipping']['last']['value']:.0f} at the end)" in text
    assert script_of("wgan_gp").recipes["mnist_1000"].config["images"] == 10 * 500_000


def test_what_wgans_search_on_digits_says() -> None:
    page = text_of("docs/wgan.md")
    values = [f"{last['fd_lenet']:.4g}" for last in last_values("wgan-study-mnist_search", "")]
    told = "{} with the paper's rate, {} with four times and {} with ten times as much, {} with three times the bound"
    more = "ten times the rate gives {}, with `n_critic` 2 {}, and with `n_critic` 1 {}"
    bound = "three times the paper's gives {}, ten times {}, its curve still falling"
    rest = "four times its rate gives {0} and a critic of twice the width {3}, so neither is in the way; Adam with "
    assert told.format(*values[:4]) in page
    assert more.format(*values[4:7]) in page
    assert bound.format(*values[8:10]) in page
    assert rest.format(*values[7:]) + f"$\\beta_1$ 0.5 gives {values[11]}." in page
    assert {run["images_seen"] for run in record("wgan-study-mnist_search")["records"].values()} == {300_032}


def test_how_near_wgans_release_is_and_with_what() -> None:
    release, (paper,) = record("wgan-mnist-seed0"), last_values("wgan-study-mnist", "wgan")
    (own,) = {test["values"]["fd_lenet"] for test in release["tests"]}
    assert f"`fd_lenet` of {own:.4g}, where the paper's constants gave {paper['fd_lenet']:.4g} after" in text_of(
        "docs/wgan.md"
    )
    assert release["images_seen"] // 1000 == 1_500
    set_by = {"n_critic": "1", "warm_start": "false", "clip": "0.03", "lr": "0.0002"}
    assert set_by.items() <= {name.rpartition(".")[2]: value for name, value in release["overrides"].items()}.items()


def test_what_wgan_gps_search_and_its_release_say() -> None:
    page, study, release = (
        text_of("docs/wgan_gp.md"),
        record("wgan_gp-study-mnist_search"),
        record("wgan_gp-mnist-seed0"),
    )
    one, five = (last_values("wgan_gp-study-mnist_search", f"lr_2e-4-n_critic_{n}")[0]["fd_lenet"] for n in (1, 5))
    assert f"is {five:.4g} with the paper's five updates of the critic for one of G and {one:.4g} with one" in page
    assert {run["images_seen"] for run in study["records"].values()} == {400_000}
    tests = study["records"]["lr_2e-4-n_critic_1"]["tests"]
    (best,) = (test["values"]["fd_lenet"] for test in tests if test["checkpoint"] == "best.ckpt")
    assert f"({best:.4g} at the best checkpoint of this arm)" in page
    (own,) = {test["values"]["fd_lenet"] for test in release["tests"]}
    assert f"It has an `fd_lenet` of {own:.2f}" in page
    assert (release["images_seen"], release["generator_steps"]) == (1_200_000, 24_000)
    set_by = {"n_critic": "1", "decay_steps": "24000", "lr": "2e-4"}
    assert set_by.items() <= {name.rpartition(".")[2]: value for name, value in release["overrides"].items()}.items()


def test_what_wgans_warm_start_takes_of_the_digits() -> None:
    config = script_of("wgan").recipes["digits"].config
    updates = config["images"] // config["data"]["init_args"]["batch_size"]
    warm = WGAN(resolution=16, width_G=2, width_D=2).critic_steps_before(24)
    said = text_of("reproductions/wgan.py")
    assert f"it would take {warm:,} of its {round(updates, -2):,} critic updates" in said


def test_what_the_random_architectures_score() -> None:
    text = text_of("docs/wgan_gp.md")
    gan, penalty = (
        [values["is_lenet"] for values in last_values("wgan_gp-study-architectures", f"{method}-")]
        for method in ("gan", "wgan-gp")
    )
    pairs = list(zip(gan, penalty, strict=True))
    higher, passing = sum(b > a for a, b in pairs), sum(b > 2 for b in penalty)
    both = sum(min(pair) > 2 for pair in pairs)
    assert f"{higher} of {len(pairs)} score higher; {passing} pass a score of 2, of which {both} also do" in text
    (alone,) = (number for number, (a, b) in enumerate(pairs) if a > 2 >= b)
    assert f"one architecture ({alone}) passes with the GAN alone" in text
    low = [score for score in gan if score < 1.2]
    assert len(low) == 13
    assert "Thirteen GANs ended at a score of 1.0 to 1.2" in text
    counts = (sum(b > 4 >= a for a, b in pairs), sum(a > 4 >= b for a, b in pairs), sum(min(p) > 4 for p in pairs))
    assert f"here {counts[0]}, {counts[1]}, {counts[2]} and {len(pairs) - sum(counts)}." in text


def test_gradients_and_distances_of_wgan_gps_points() -> None:
    text = text_of("docs/wgan_gp.md")
    toys = [last_values("wgan_gp-study-toys", name)[0] for name in ("8gaussians", "25gaussians", "swissroll")]
    norms = ", ".join(f"{values['critic_gradient_norm']:.2f}" for values in toys[:2])
    assert f"have the norms {norms} and {toys[2]['critic_gradient_norm']:.2f}, where" in text
    surfaces = [values["critic_gradient_norm"] for values in last_values("wgan_gp-study-surfaces", "penalty-")]
    (mnist,) = (test for test in record("wgan_gp-mnist-seed0")["tests"] if test["checkpoint"] == "last.ckpt")
    assert (
        f"{min(surfaces):.1f} to {max(surfaces):.1f} were measured here, and "
        f"{mnist['values']['critic_gradient_norm']:.2f} on MNIST"
    ) in text
    steep, penalty, still = (
        last_values("wgan_gp-study-gradients", name)[0]["wasserstein_exact"]
        for name in ("clip-0.1", "penalty", "clip-0.01")
    )
    assert f"($W_1$ {steep:.2f} at $c = 0.1$)" in text
    assert (
        f"With the penalty they are not near yet ({penalty:.1f}); with the smaller $c$ G never moved ({still:.1f},"
        in text
    )


def test_how_wgans_estimate_ranks_its_checkpoints() -> None:
    (values,) = last_values("wgan-study-mnist", "wgan")
    assert f"[Spearman {values['wasserstein_spearman_fd_lenet2k']:.4f}]" in text_of("README.md")
