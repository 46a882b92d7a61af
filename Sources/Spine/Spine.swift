enum SpinePlaceholder {}
