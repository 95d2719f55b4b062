"""Cases that are not in a store: their images are prepared in memory when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from polytask.cohort.cohort import Case, Cohort
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.prepare.make_case import read_case_image
from polytask.prepare.prepared_image import PreparedImage
from polytask.prepare.recipe import Recipe, make_recipe
from polytask.prepare.slide_bags import PreparedBag, prepare_unread_bag


@dataclass
class InMemoryCase:
    """One case, prepared the way `prepare` does it; masks and targets are not read."""

    recipe: Recipe
    images: dict[str, PreparedImage | None] = field(default_factory=dict)
    bags: dict[str, PreparedBag] = field(default_factory=dict)

    def prepared(self, name: str) -> PreparedImage | None:
        """Return an image input on the plan's grid; None when the case has none of its channels."""
        # Every member asks for the same image, and preparing it is costly.
        if name not in self.images:
            self._refuse_missing(name)
            self.images[name] = read_case_image(self.recipe, name)
        return self.images[name]

    def bag(self, name: str) -> PreparedBag | None:
        """Return a slide input, cut into patches as the plan says; None when the case has no slide."""
        path = self.recipe.slides.get(name)
        if path is not None and name not in self.bags:
            where = f"{self.recipe.where}, {name}"
            self.bags[name] = prepare_unread_bag(path, self.recipe.cuts[name], where).bag(path)
        return self.bags.get(name)

    def _refuse_missing(self, name: str) -> None:
        paths, flags = self.recipe.images[name].paths, self.recipe.plans[name].channel_flags
        missing = [c for c, p in paths.items() if p is None]
        if missing and not flags and len(missing) < len(paths):
            raise PolytaskError(
                f"{self.recipe.where}: channel {name}.{missing[0]} is missing, but every training case had it; give "
                "its file, or train with cases that lack it"
            )


@dataclass
class InMemoryStore:
    """A store in memory, used like a `Store`: `case(key).prepared(input)`. It holds one sample's cases at a time."""

    cohort: Cohort
    plan: Plan
    cases: dict[str, InMemoryCase] = field(default_factory=dict)

    def begin(self, cases: tuple[Case, ...]) -> None:
        """Drop the cases of the sample before and take these."""
        self.cases = {c.key: InMemoryCase(make_recipe(self.cohort, c, self.plan)) for c in cases}

    def case(self, key: str) -> InMemoryCase:
        """Return a case of the present sample."""
        return self.cases[key]
