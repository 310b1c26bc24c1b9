// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// A demo launchpad for the local stack: anyone can create a token, which trades on its own bonding curve until it has
/// raised enough and graduates. It is kept small, is not audited, and must not be used with real money.

contract LaunchToken {
    string public name;
    string public symbol;
    uint8 public constant decimals = 18;
    uint256 public immutable totalSupply;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    constructor(string memory name_, string memory symbol_, uint256 supply, address holder) {
        name = name_;
        symbol = symbol_;
        totalSupply = supply;
        balanceOf[holder] = supply;
        emit Transfer(address(0), holder, supply);
    }

    function transfer(address to, uint256 value) external returns (bool) {
        return _move(msg.sender, to, value);
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        allowance[from][msg.sender] -= value;
        return _move(from, to, value);
    }

    function _move(address from, address to, uint256 value) private returns (bool) {
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
        return true;
    }
}

/// The market of one token: a bonding curve x·y = k over virtual reserves.
contract BondingCurve {
    uint256 public constant VIRTUAL_NATIVE = 10 ether;
    uint256 public constant GRADUATION = 50 ether;

    LaunchToken public immutable token;
    uint256 public nativeReserve = VIRTUAL_NATIVE;
    uint256 public tokenReserve;
    bool public graduated;

    event Trade(
        address indexed trader,
        bool indexed isBuy,
        uint256 nativeAmount,
        uint256 tokenAmount,
        uint256 nativeReserve,
        uint256 tokenReserve
    );
    event Graduated(uint256 finalSupply, uint256 totalRaised);
    event LiquidityAdded(address indexed pair, uint256 nativeAmount, uint256 tokenAmount, uint256 liquidity);

    constructor(string memory name, string memory symbol, uint256 supply) {
        token = new LaunchToken(name, symbol, supply, address(this));
        tokenReserve = supply;
    }

    function buy() external payable {
        require(!graduated, "graduated");
        require(msg.value > 0, "nothing paid");
        uint256 out = (tokenReserve * msg.value) / (nativeReserve + msg.value);
        nativeReserve += msg.value;
        tokenReserve -= out;
        token.transfer(msg.sender, out);
        emit Trade(msg.sender, true, msg.value, out, nativeReserve, tokenReserve);
        if (nativeReserve >= VIRTUAL_NATIVE + GRADUATION) _graduate();
    }

    /// Sell tokens that were approved to this market.
    function sell(uint256 amount) external {
        require(!graduated, "graduated");
        require(amount > 0, "nothing sold");
        uint256 out = (nativeReserve * amount) / (tokenReserve + amount);
        nativeReserve -= out;
        tokenReserve += amount;
        token.transferFrom(msg.sender, address(this), amount);
        (bool paid, ) = msg.sender.call{value: out}("");
        require(paid, "payment failed");
        emit Trade(msg.sender, false, out, amount, nativeReserve, tokenReserve);
    }

    /// Graduate: the raised amount and the rest of the supply would go to a pair; in this demo they stay with the market.
    function _graduate() private {
        graduated = true;
        uint256 raised = nativeReserve - VIRTUAL_NATIVE;
        emit Graduated(token.totalSupply(), raised);
        emit LiquidityAdded(address(this), raised, tokenReserve, raised);
    }
}

contract Launchpad {
    uint256 public constant SUPPLY = 1_000_000_000 ether;
    BondingCurve[] public markets;

    event TokenCreated(
        address indexed token,
        address indexed market,
        address indexed creator,
        string name,
        string symbol,
        uint256 supply
    );

    function create(string calldata name, string calldata symbol) external returns (BondingCurve market) {
        market = new BondingCurve(name, symbol, SUPPLY);
        markets.push(market);
        emit TokenCreated(address(market.token()), address(market), msg.sender, name, symbol, SUPPLY);
    }

    function count() external view returns (uint256) {
        return markets.length;
    }
}
