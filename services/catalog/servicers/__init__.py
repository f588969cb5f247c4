"""The methods of the contract, one class for each proto service."""
