"""A network as a function of plain tensors, for ONNX, `torch.export` and `torch.compile`."""

from __future__ import annotations

from torch import Tensor, nn

from polytask.errors import PolytaskError
from polytask.model.network import Network
from polytask.model.network_inputs import CompleteInputs


class Exportable(nn.Module):
    """A trained network in eval mode whose inputs and outputs are tensors; every visit and image is there.

    `inputs` names what `forward` takes, in order: images `[B, V, C, *space]`, tables `[B, V, F]` (NaN: not known), days
    since the first visit `[B, V]`. `outputs` names what it returns, in the order of the tasks: logits of a voxel task
    `[B·V, K, *space]`, of a visit task `[B·V, K]`, of a subject task `[B, K]`. Voxel tasks see the
    whole given tensor: the caller cuts windows for a network that reads patches, pads images as
    prediction does, and handles geometry and calibration. An exported graph has images of one size.

        module = Exportable(network)
        torch.onnx.export(module, tensors, "model.onnx", input_names=module.inputs, output_names=module.outputs)
    """

    def __init__(self, network: Network):
        super().__init__()
        if network.spec.slides:
            raise PolytaskError(
                f"slide {next(iter(network.spec.slides))!r}: a bag of any number of patches has no fixed graph; export "
                "a network without slides"
            )
        if network.spec.crops:
            raise PolytaskError(
                f"image {next(iter(network.spec.crops))!r}: `roi` reads as many places as the image has, which has "
                "no fixed graph; export a network without roi"
            )
        self.network = network
        self.images = list(network.spec.images)
        self.tables = list(network.spec.tables)
        self.inputs = [*self.images, *self.tables, "day"]
        self.outputs = list(network.tasks)
        self.eval()

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run the network on tensors in the order of `inputs`; returns tensors in the order of `outputs`."""
        tensors_by_name = dict(zip(self.inputs, tensors, strict=True))
        complete = CompleteInputs(
            {name: tensors_by_name[name] for name in self.images},
            {name: tensors_by_name[name] for name in self.tables},
            tensors_by_name["day"],
        )
        outputs = self.network(complete)
        answers = (outputs[name] for name in self.outputs)
        return tuple(a[0] if isinstance(a, list) else a for a in answers)
