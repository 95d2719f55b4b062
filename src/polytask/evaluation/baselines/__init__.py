"""Does the network add anything? Simple models of table columns or a mask's volume, fitted on the train part."""
