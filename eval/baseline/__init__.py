"""TF-IDF models in plain arrays: what a student has to beat, of labels (`classifier`) and of numbers (`ridge`)."""
