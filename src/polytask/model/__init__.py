"""The network: trunk (encoder × time fusion × source fusion) × sharing × order. Knows only tensors."""
