# SPDX-License-Identifier: Apache-2.0
"""Networks with one hidden layer, whose margins are sums of hinges over the inputs."""
