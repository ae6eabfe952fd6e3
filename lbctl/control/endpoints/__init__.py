"""The endpoints: what each call of the API asks of the controller, one module for each noun."""
