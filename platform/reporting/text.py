"""The report in words: the verdict, and the methods paragraph that goes into a paper."""

from forgefield.platform.evaluating import Evaluation, verdict
from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.plan import Plan
from forgefield.platform.reporting.citations import References, keys_of_method
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.reporting.parts import core_hours, count, listed, money
from forgefield.platform.reporting.predictions import description, gammas
from forgefield.platform.reporting.stand_ins import disclaimer, source_of_files
from forgefield.platform.screen.wording import UNIT, digits
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.units import KCAL_PER_MOL_PER_EV, from_micro
from forgefield.trainers.evaluation import FEWEST_TO_DRAW
from forgefield.trainers.force_field import Metadata


def headline(evaluation: Evaluation | None) -> str:
    """The verdict, with units that stay beside their numbers."""
    if evaluation is None:
        return "No errors are known yet: the force field has not been evaluated."
    said = verdict(evaluation)
    return said.replace(f" {UNIT}", f"\u00a0{UNIT}").replace(" %", "\u00a0%")


def methods_text(facts: Facts, cite: References) -> list[str]:
    """The methods part of a paper, a paragraph a string; empty before there is a plan."""
    if facts.plan is None:
        return []
    paragraphs = [_sampling(facts.plan, cite), _labels(facts, facts.plan, cite)]
    if facts.rounds:
        paragraphs.append(_rounds(facts, facts.plan))
    about = description(facts.folder.force_field)
    if facts.outcome is not None and about is not None:
        paragraphs.append(_training(facts, about, cite))
    if facts.evaluation is not None:
        paragraphs.append(_evaluation(facts.evaluation, cite))
    return paragraphs


def _sampling(plan: Plan, cite: References) -> str:
    if plan.recipe.replay.tiers:
        return source_of_files(plan)
    settings = plan.recipe.sampling
    kelvins = listed([f"{kelvin:g}" for kelvin in settings.temperatures])
    return (
        f"Configurations of {plan.molecule.name} were sampled by Langevin dynamics with OpenMM"
        f"{cite('OpenMM')} under MMFF94{cite('MMFF94')} with parameters from RDKit"
        f"{cite('RDKit', 'RDKit MMFF94')}, at {kelvins} K with a time step of "
        f"{settings.timestep:g} fs and a friction of {settings.friction:g} ps⁻¹, starting from up "
        f"to {count(settings.conformers, 'conformer')}; near-duplicates were dropped."
    )


def _labels(facts: Facts, plan: Plan, cite: References) -> str:
    parts: list[str] = []
    for tier in Tier:
        done = sum(row.done for row in facts.tally if row.tier == tier)
        method = plan.tier(tier).method
        if done:
            noun = "" if parts else " " + ("configuration" if done == 1 else "configurations")
            parts.append(f"{done:,}{noun} with {method}{cite(*keys_of_method(method))}")
    programs = _programs(facts, cite)
    spent = from_micro(facts.balance.spent_micro)
    split = {
        p: sum(r.done for r in facts.tally if (r.tier, r.purpose) == (TARGET, p)) for p in Purpose
    }
    target = plan.tier(TARGET).method
    return (
        f"Energies and forces were computed for {listed(parts) or 'no configuration yet'}"
        f"{programs}. Labels were run by Forgefield {plan.forgefield} on Ray{cite('Ray')} within a "
        f"budget of {plan.budget} ({core_hours(plan.cap)}), of which {money(facts, spent)} was "
        f"spent. Of the {target} labels, {split[Purpose.HOLDOUT]} were held out for the "
        f"final error and {split[Purpose.VALIDATION]} served for validation."
        f"{disclaimer(plan)}"
    )


def _rounds(facts: Facts, plan: Plan) -> str:
    rounds, first = plan.recipe.rounds, facts.rounds[0].counts.target
    return (
        f"Training labels were bought in {count(len(facts.rounds), 'round')}, the first with "
        f"{first} of the target tier, all at random. Later rounds took half of their labels at "
        f"random and half greedily where the disagreement of {rounds.committee} fine-tuned force "
        "fields, times the distance to the nearest labelled geometry, was largest. How many of "
        "each tier followed from a model of the error, refitted to the validation errors after "
        "every round."
    )


def _programs(facts: Facts, cite: References) -> str:
    if facts.frames is None:
        return ""
    used = sorted({(p.name, p.version) for p in facts.frames.provenance.programs})
    return ", by " + listed([f"{name} {version}{cite(*name.split())}" for name, version in used])


def _training(facts: Facts, about: Metadata, cite: References) -> str:
    if facts.outcome is None:
        return ""
    best, model = facts.outcome.best, about.model
    named = [facts.plan.tier(tier).method if facts.plan else tier.value for tier in best.tiers]
    cheap = ", then of ".join(named)
    found = gammas(facts.outcome).values()
    scales = [digits(gamma * KCAL_PER_MOL_PER_EV) for gamma in found if gamma is not None]
    weighed = (
        f"weighted by exp(−B/γ), where B is the mean absolute difference between their forces "
        f"and those of the first stage and γ = {listed(scales)} {UNIT} was chosen on the "
        "validation frames"
        if scales
        else "unweighted, as chosen on the validation frames"
    )
    return (
        f"A network of the kind {model.title}{cite(*model.sources)}, of {model.size}, with a "
        f"cutoff of {model.cutoff:g} Å, whose forces are the "
        f"negative gradient of its energy, was trained with PyTorch{cite('PyTorch')} in the three "
        f"stages of ASTEROID{cite('ASTEROID')}: on the "
        f"{facts.outcome.baseline.phases[-1].frames} accurate training frames alone, which is "
        f"also the standard training it is compared with; then on frames of {cheap}, {weighed}; "
        f"and finally fine-tuned on the accurate frames. The seed was {about.seed}."
        f"{_committee(len(facts.outcome.members))}"
    )


def _committee(members: int) -> str:
    if members == 1:
        return ""
    return (
        f" The force field is the mean of {members} networks, which went the same way from other "
        f"weights; so is the standard training of {members}."
    )


def _evaluation(found: Evaluation, cite: References) -> str:
    return (
        f"On {count(found.frames, 'frame')} ({found.test_set}) with {found.method} forces, the "
        f"mean absolute error of the force components is {digits(found.force_field.force_mae)} "
        f"{UNIT} (95 % interval {digits(found.force_field.low)} to "
        f"{digits(found.force_field.high)}), against "
        f"{digits(found.baseline.force_mae)} {UNIT} ({digits(found.baseline.low)} to "
        f"{digits(found.baseline.high)}) after the standard training. Intervals are "
        f"{_intervals(found.frames, cite)}."
    )


def _intervals(frames: int, cite: References) -> str:
    if frames < FEWEST_TO_DRAW:
        return f"Student's t{cite('Student')} over frames"
    return (
        f"from a percentile bootstrap{cite('bootstrap')} over frames, expanded for their "
        f"number{cite('expanded bootstrap')}"
    )


def usage(facts: Facts) -> str:
    """Python that runs the force field in ASE."""
    name = facts.folder.root.name
    doubt = "print(atoms.calc.force_error)  # expected for each atom, eV/Å\n"
    return (
        "from ase.io import read\n"
        "from forgefield.trainers.calculator import ForgefieldCalculator\n\n"
        'atoms = read("molecule.xyz")\n'
        f'atoms.calc = ForgefieldCalculator("{name}/{facts.folder.force_field.name}")\n'
        "print(atoms.get_potential_energy(), atoms.get_forces())  # eV, eV/Å\n"
        + (doubt if facts.outcome and facts.outcome.others else "")
    )
