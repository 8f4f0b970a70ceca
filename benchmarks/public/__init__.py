"""Public yardsticks for anomaly scores and change points: NAB, SKAB and TCPD."""
