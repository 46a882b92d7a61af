enum ConfigFilesPlaceholder {}
