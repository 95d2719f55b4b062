"""The settings of one network, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from polytask.model.building_blocks import EncoderSpec
from polytask.model.crop_reader import CropSpec
from polytask.model.slide_encoder import SlideSpec


@dataclass(frozen=True)
class NetworkSpec:
    """Settings of a network: trunk (encoder × time fusion × source fusion) × sharing × order.

    Args:
        images: topology per image input.
        tables: table input → number of features of each group of columns.
        slides: slide input → what a bag holds.
        crops: image input → the crops that pooled tasks read of it.
        voxel_image: voxel task → the image input that it belongs to.
        visits: subject task → the visit slots that it may read.
        history: visit tasks that read, beside their own visit, the earlier ones.
        max_visits: number of visit slots.
        trunk: "" = an encoder for each image input; `shared`: one for all, which knows an input by its code.
        sharing, form, visit_fusion, input_fusion: names in the registries, and the form of the sharing block.
        visit_levels: the levels of a pyramid that the fusion of visits reads, the deepest is 1; () = its own number.
        source_dropout: share of samples of which one source is hidden in training.
        after: task → the tasks whose answers it reads. link: task → how, if not by default (`order.choose_link`).
        second_level: "" = class answers are sources; `private` or `shared`: they join the sources in a second level.
        second_network: "" = a second network for each task that reads maps; `shared` by those that read the same ones;
            `map` = one for each map, of which a task that reads several takes the mean.
        uncertainty: what goes along with an upstream map: `none`, `entropy` or `variance`.
        passes: Monte-Carlo passes from which an upstream map comes; 0 = from one, with all channels.
        stop_gradient: whether the loss of a task stops at the upstream answer.
        decoder: how the voxel tasks of an image are decoded, a name in `decoders.DECODERS`.
        deep_supervision: how many levels below the finest have a loss too.
        embedding: width of tokens. dropout: in front of pooled heads.
    """

    images: Mapping[str, EncoderSpec]
    tables: Mapping[str, Sequence[int]] = field(default_factory=dict)
    slides: Mapping[str, SlideSpec] = field(default_factory=dict)
    crops: Mapping[str, CropSpec] = field(default_factory=dict)
    voxel_image: Mapping[str, str] = field(default_factory=dict)
    visits: Mapping[str, Sequence[int]] = field(default_factory=dict)
    history: frozenset[str] = frozenset()
    max_visits: int = 1
    trunk: str = ""
    sharing: str = "hard"
    form: str = "light"
    visit_fusion: str = "concat"
    visit_levels: tuple[int, ...] = ()
    input_fusion: str = "concat"
    source_dropout: float = 0.0
    after: Mapping[str, Sequence[str]] = field(default_factory=dict)
    link: Mapping[str, str] = field(default_factory=dict)
    second_level: str = ""
    second_network: str = ""
    uncertainty: str = "none"
    passes: int = 0
    stop_gradient: bool = False
    decoder: str = "private"
    deep_supervision: int = 2
    embedding: int = 128
    dropout: float = 0.1
