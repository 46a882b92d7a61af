enum AlertWorkerPlaceholder {}
