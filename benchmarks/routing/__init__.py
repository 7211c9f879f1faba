"""The evaluation of routing: RUBRIC.md, data/, and the programs that judge by them."""
