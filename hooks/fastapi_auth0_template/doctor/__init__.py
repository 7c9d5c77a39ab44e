"""The checks of the doctor: what makes tokens fail, what was found, the remedy. Changes nothing."""
