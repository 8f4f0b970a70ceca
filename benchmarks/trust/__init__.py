"""Trust: false alarms in time order, small data, domains, answers and forecasts against the simplest
alternatives."""
