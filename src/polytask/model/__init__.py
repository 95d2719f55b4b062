"""The network: trunk (encoder × time fusion × source fusion) × sharing × order. This room knows only tensors."""
