"""Trust: false alarms in time order, small data, domains, answers, forecasts, each against the
simplest alternative."""
