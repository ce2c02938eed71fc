"""Names of policies and query strategies that pages and API offer, without loading numpy.

The registries of the core say what each does; a test holds the two together.
"""

RANDOM_POLICY = "random-v1"
PILOT_POLICY = "pilot-v1"
ARMS_POLICY = "arms-v1"
CONFORMAL_POLICY = "conformal-v1"
CRITERION_POLICY = "criterion-v1"
INFLUENCE_POLICY = "influence-v1"
REFERENCE_POLICY = "hyper_reference-v1"
UNCERTAINTY_POLICY = "uncertainty-v1"
PPM_POLICY = "ppm_topk-v1"
POLICIES: dict[str, str] = {
    PPM_POLICY: "Predicted gain (needs a study with a signal)",
    "ppm_lower-v1": "Predicted gain, cautious (needs a study with a signal)",
    "disagreement-v1": "Predicted disagreement with the judge (needs a study)",
    CRITERION_POLICY: "Predicted disagreement by criterion (needs a study)",
    CONFORMAL_POLICY: "Conformal: as few people as an accepted error allows (needs a study)",
    ARMS_POLICY: "Several judges and groups of people, each at its price (needs a study)",
    INFLUENCE_POLICY: "Label influence on the reward model (needs a study)",
    "ppm_simulated-v1": "Best of 500 simulated mixes (needs a study with a signal)",
    REFERENCE_POLICY: "Published recipe: the baseline to beat (needs a study)",
    UNCERTAINTY_POLICY: "Judge uncertainty",
    RANDOM_POLICY: "Random",
    "all_human-v1": "People first, as far as the budget goes",
    "all_judge-v1": "Judges only, beside the audit",
}
# Who sees predicted gains; the published recipe has a model of its own.
NEEDS_PPM = frozenset({PPM_POLICY, "ppm_lower-v1", "ppm_simulated-v1"})
NEEDS_STUDY = NEEDS_PPM | {
    "disagreement-v1",
    CRITERION_POLICY,
    CONFORMAL_POLICY,
    ARMS_POLICY,
    INFLUENCE_POLICY,
    REFERENCE_POLICY,
}

RANDOM_STRATEGY = "random-v1"
BAL_PM_STRATEGY = "bal_pm-v1"
# What led most surely on recorded labels (docs/acquisition.md).
DEFAULT_STRATEGY = "epig_staged-v1"
STRATEGIES: dict[str, str] = {
    BAL_PM_STRATEGY: "BAL-PM: what members disagree about, spread over prompts",
    RANDOM_STRATEGY: "Random",
    "epig_staged-v1": "EPIG in stages: by direction, then with lengths, at random in the end",
    "epig_direction-v1": "EPIG by direction: what lowers the loss elsewhere, blind to outliers",
    "epig_early-v1": "EPIG by direction, at random once 40 % of the pool is labelled",
    "epig_linear-v1": "EPIG, last layer: what lowers the loss elsewhere",
    "entropy-v1": "Predictive entropy",
    "margin-v1": "Smallest margin",
    "bald-v1": "BALD: what members disagree about",
    "power_bald-v1": "PowerBALD: BALD with chance",
    "k_center-v1": "k-center: cover the prompts",
    "d_optimal-v1": "D-optimal design",
    "badge-v1": "BADGE",
    "epig-v1": "EPIG: what would change predictions elsewhere",
    "bal_pm_item-v1": "BAL-PM as published (item graph)",
    "batch_bald-v1": "BatchBALD",
}
STRATEGY_NAMES = list(STRATEGIES)


def policy_title(identifier: str) -> str:
    """The name of a policy without its conditions."""
    return (
        "Pilot"
        if identifier == PILOT_POLICY
        else POLICIES.get(identifier, identifier).split(" (")[0]
    )


def strategy_title(identifier: str) -> str:
    """The name of a query strategy without its explanation."""
    return STRATEGIES.get(identifier, identifier).split(":")[0]


LAPLACE_POSTERIOR, BOOTSTRAP_POSTERIOR, MLP_POSTERIOR = "laplace", "bootstrap", "mlp"
POSTERIORS: dict[str, str] = {
    LAPLACE_POSTERIOR: "Last-layer Laplace, prior chosen on held-out prompts",
    BOOTSTRAP_POSTERIOR: "Bootstrap of linear heads under the same prior",
    MLP_POSTERIOR: "Neural heads with distinct seeds",
}

MEMBERS_POSTERIOR = "members"
ROUND_POSTERIORS: dict[str, str] = {
    LAPLACE_POSTERIOR: POSTERIORS[LAPLACE_POSTERIOR],
    MEMBERS_POSTERIOR: "Members of the newest reward model",
    BOOTSTRAP_POSTERIOR: POSTERIORS[BOOTSTRAP_POSTERIOR],
    MLP_POSTERIOR: POSTERIORS[MLP_POSTERIOR],
}

WHOLE, INFORMATION_PAIR = "", "information"
PAIR_RULES: dict[str, str] = {
    INFORMATION_PAIR: "The pair whose label tells most",
    "double_thompson": "Two that may both be best (double Thompson)",
    "double_reversed_thompson": "One that may be best, one that may be worst",
    "delta_ucb": "The pair that may be farthest apart",
    "random": "Two at random",
}
PAIR_CHOICES = {WHOLE: "Ask for all of them at once"} | PAIR_RULES
PAIR_HELP = "Which two of a comparison's many responses to ask about; empty asks about all at once."
