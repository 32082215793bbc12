"""The reward's weights with each single one switched off or doubled, for attacks on the reward."""

import dataclasses

from rl_editor.config import RewardConfig
from rl_editor.rewards import REWARD_TERMS

AS_IT_IS, UNLABELLED = "as it is", "reference_agreement off"


def single_term_variants(weights: RewardConfig) -> dict[str, RewardConfig]:
    """Return the weights themselves, and with each term off or doubled, by name.

    `UNLABELLED` is among them: without the label nothing but the target says what belongs in an
    edit, so that an attack that finds nothing there is no attack.
    """
    return {
        AS_IT_IS: weights,
        **{
            f"{term} {word}": dataclasses.replace(weights, **{term: times * getattr(weights, term)})
            for word, times in (("doubled", 2.0), ("off", 0.0))
            for term in REWARD_TERMS
        },
    }
