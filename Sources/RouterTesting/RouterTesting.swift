enum RouterTestingPlaceholder {}
