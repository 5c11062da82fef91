# SPDX-License-Identifier: Apache-2.0
"""The table of one-operator models, by topic."""

from node_cases.arithmetic import arithmetic_cases
from node_cases.arrangement import arrangement_cases
from node_cases.case import Case
from node_cases.convolution import conv_cases
from node_cases.elementwise import activation_cases, scalar_cases
from node_cases.linear_maps import linear_map_cases
from node_cases.logic import logic_cases
from node_cases.moving import moving_cases
from node_cases.normalization import normalization_cases
from node_cases.order import order_cases
from node_cases.padding import padding_cases
from node_cases.pooling import pool_cases
from node_cases.products import product_cases
from node_cases.quantization import quantized_cases
from node_cases.recurrent import recurrent_cases
from node_cases.resizing import resizing_cases

__all__ = ["CASES", "Case"]

CASES: list[Case] = [
    *pool_cases(),
    *padding_cases(),
    *resizing_cases(),
    *conv_cases(),
    *product_cases(),
    *arithmetic_cases(),
    *scalar_cases(),
    *logic_cases(),
    *activation_cases(),
    *normalization_cases(),
    *order_cases(),
    *recurrent_cases(),
    *quantized_cases(),
    *moving_cases(),
    *arrangement_cases(),
    *linear_map_cases(),
]
