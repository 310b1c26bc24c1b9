// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {LaunchToken} from "Launchpad.sol";

/// Factory and pair with the events of Uniswap V2, for tests: the same signatures, the same order of events, the same
/// arithmetic of the constant product and its fee. They have no permits, no liquidity token and no flash swaps.

contract Pair {
    address public immutable factory;
    address public immutable token0;
    address public immutable token1;
    uint112 private reserve0;
    uint112 private reserve1;

    event Mint(address indexed sender, uint256 amount0, uint256 amount1);
    event Burn(address indexed sender, uint256 amount0, uint256 amount1, address indexed to);
    event Swap(
        address indexed sender,
        uint256 amount0In,
        uint256 amount1In,
        uint256 amount0Out,
        uint256 amount1Out,
        address indexed to
    );
    event Sync(uint112 reserve0, uint112 reserve1);

    constructor(address token0_, address token1_) {
        factory = msg.sender;
        token0 = token0_;
        token1 = token1_;
    }

    function getReserves() external view returns (uint112, uint112, uint32) {
        return (reserve0, reserve1, 0);
    }

    /// Add the tokens that were sent before as liquidity.
    function mint() external {
        uint256 amount0 = LaunchToken(token0).balanceOf(address(this)) - reserve0;
        uint256 amount1 = LaunchToken(token1).balanceOf(address(this)) - reserve1;
        _update();
        emit Mint(msg.sender, amount0, amount1);
    }

    /// Remove liquidity.
    function burn(uint256 amount0, uint256 amount1, address to) external {
        LaunchToken(token0).transfer(to, amount0);
        LaunchToken(token1).transfer(to, amount1);
        _update();
        emit Burn(msg.sender, amount0, amount1, to);
    }

    function swap(uint256 amount0Out, uint256 amount1Out, address to) external {
        if (amount0Out > 0) LaunchToken(token0).transfer(to, amount0Out);
        if (amount1Out > 0) LaunchToken(token1).transfer(to, amount1Out);
        uint256 balance0 = LaunchToken(token0).balanceOf(address(this));
        uint256 balance1 = LaunchToken(token1).balanceOf(address(this));
        uint256 amount0In = balance0 > reserve0 - amount0Out ? balance0 - (reserve0 - amount0Out) : 0;
        uint256 amount1In = balance1 > reserve1 - amount1Out ? balance1 - (reserve1 - amount1Out) : 0;
        require(
            (balance0 * 1000 - amount0In * 3) * (balance1 * 1000 - amount1In * 3)
                >= uint256(reserve0) * reserve1 * 1000 ** 2,
            "K"
        );
        _update();
        emit Swap(msg.sender, amount0In, amount1In, amount0Out, amount1Out, to);
    }

    function _update() private {
        reserve0 = uint112(LaunchToken(token0).balanceOf(address(this)));
        reserve1 = uint112(LaunchToken(token1).balanceOf(address(this)));
        emit Sync(reserve0, reserve1);
    }
}

contract PairFactory {
    mapping(address => mapping(address => address)) public getPair;
    uint256 private count;

    event PairCreated(address indexed token0, address indexed token1, address pair, uint256);

    function createPair(address tokenA, address tokenB) external returns (address pair) {
        (address token0, address token1) = tokenA < tokenB ? (tokenA, tokenB) : (tokenB, tokenA);
        require(token0 != token1 && getPair[token0][token1] == address(0), "PAIR");
        pair = address(new Pair(token0, token1));
        getPair[token0][token1] = pair;
        getPair[token1][token0] = pair;
        emit PairCreated(token0, token1, pair, ++count);
    }
}
