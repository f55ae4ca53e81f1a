"""What is believed of a case, looked at: its series, its maps beside it, its times, and the lesion that was drawn."""
