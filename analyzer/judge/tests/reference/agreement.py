"""Reference values of src/agreement.rs: krippendorff 0.8. No randomness.

Run: python3 -m venv v && v/bin/pip install krippendorff && v/bin/python agreement.py
"""
import krippendorff

print(krippendorff.alpha(reliability_data=[[1, 2, 3, 5, 4], [2, 2, 3, 4, 4]], level_of_measurement="interval"))
a, b = [1, 1, 0, 0, 1, 0, 1, 0], [1, 0, 0, 0, 1, 1, 1, 0]
agree = sum(x == y for x, y in zip(a, b)) / 8
chance = sum((a.count(k) / 8) * (b.count(k) / 8) for k in (0, 1))
print(agree, (agree - chance) / (1 - chance))
