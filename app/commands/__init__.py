"""The commands of `orchrisk`: options in, an answer of `app/*_answers.py` out."""
