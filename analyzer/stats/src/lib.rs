//! Pure mathematics over slices: confidence sequences and tests.
