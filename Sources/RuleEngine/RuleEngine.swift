enum RuleEnginePlaceholder {}
