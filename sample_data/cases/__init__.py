"""Three small cases with a known answer: a bank, a hospital's triage, a shop's orders."""
