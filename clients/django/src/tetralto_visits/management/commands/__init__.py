"""The commands ``tetralto_check`` and ``tetralto_replay``."""
