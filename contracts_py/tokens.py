"""ERC-20: the exchange's Token and the TestUSD that stands for USDC."""

from typing import TYPE_CHECKING, ClassVar, Self

from contracts_py.digests import Domain, sign, struct_hash
from contracts_py.handle import Handle, Receipt

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount
    from web3 import Web3

PERMIT_TYPE = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"


class Erc20(Handle):
    """Balances and allowances in the token's smallest unit."""

    def balance_of(self, owner: str) -> int:
        """Units that an address holds."""
        return int(self.call("balanceOf", self.web3.to_checksum_address(owner)))

    def total_supply(self) -> int:
        """Units that exist."""
        return int(self.call("totalSupply"))

    def allowance(self, owner: str, spender: str) -> int:
        """Units of `owner` that `spender` may take."""
        pair = (self.web3.to_checksum_address(one) for one in (owner, spender))
        return int(self.call("allowance", *pair))

    def transfer(self, account: "LocalAccount", receiver: str, amount: int) -> Receipt:
        """Send units. Raises Reverted `balance too small`, `receiver is nobody`."""
        return self.send(account, "transfer", self.web3.to_checksum_address(receiver), amount)

    def transfer_from(
        self, account: "LocalAccount", owner: str, receiver: str, amount: int
    ) -> Receipt:
        """Send units of an owner who allowed it. Raises Reverted `allowance …`, `balance …`."""
        pair = (self.web3.to_checksum_address(one) for one in (owner, receiver))
        return self.send(account, "transferFrom", *pair, amount)

    def approve(self, account: "LocalAccount", spender: str, amount: int) -> Receipt:
        """Let a spender take up to `amount`, in place of what he could before."""
        return self.send(account, "approve", self.web3.to_checksum_address(spender), amount)


class Token(Erc20):
    """The exchange's token: 18 decimals, a fixed supply that only burning shrinks."""

    artifact: ClassVar[str] = "Token"

    @classmethod
    def deploy(
        cls,
        web3: "Web3",
        account: "LocalAccount",
        named: tuple[str, str],
        supply: int,
        holder: str,
    ) -> Self:
        """Deploy with (name, symbol) and the whole supply, in units of 10^-18, at one holder."""
        holder = web3.to_checksum_address(holder)
        return cls._deploy(web3, account, *named, supply, holder)

    def initial_supply(self) -> int:
        """Units at the start."""
        return int(self.call("INITIAL_SUPPLY"))

    def burned(self) -> int:
        """Units burned so far."""
        return int(self.call("burned"))

    def burn(self, account: "LocalAccount", amount: int) -> Receipt:
        """Destroy units of the sender's balance. Raises Reverted `balance too small`."""
        return self.send(account, "burn", amount)


class TestUSD(Erc20):
    """A test dollar: 6 decimals, EIP-2612 permits, minted by one account."""

    artifact: ClassVar[str] = "TestUSD"
    __test__ = False
    "Not a test class, whatever its name says to pytest."

    @classmethod
    def deploy(cls, web3: "Web3", account: "LocalAccount", minter: str) -> Self:
        """Deploy without supply; `minter` alone may mint."""
        return cls._deploy(web3, account, web3.to_checksum_address(minter))

    def mint(self, account: "LocalAccount", receiver: str, amount: int) -> Receipt:
        """Make micro-dollars. Raises Reverted `only the minter`."""
        return self.send(account, "mint", self.web3.to_checksum_address(receiver), amount)

    def nonce(self, owner: str) -> int:
        """Number that the owner's next permit must have."""
        return int(self.call("nonces", self.web3.to_checksum_address(owner)))

    def sign_permit(
        self, key: bytes, owner: str, spender: str, amount: int, deadline: int
    ) -> tuple[int, bytes, bytes]:
        """(v, r, s) of a permit under the owner's 32-byte key; `deadline` is its last second."""
        domain = Domain(self.web3.eth.chain_id, self.address, "chainperp test dollar")
        nonce = self.nonce(owner)
        hashed = struct_hash(PERMIT_TYPE, owner, spender, amount, nonce, deadline)
        r, s, v = sign(domain.digest(hashed), key)
        return v, r.to_bytes(32, "big"), s.to_bytes(32, "big")

    def permit(
        self,
        account: "LocalAccount",
        pair: tuple[str, str],
        amount: int,
        deadline: int,
        signature: tuple[int, bytes, bytes],
    ) -> Receipt:
        """Approve for (owner, spender) by the owner's signature; anybody may send it.

        Raises: Reverted `permit: expired`, `permit: s is high`, `permit: wrong signer`.
        """
        owner, spender = (self.web3.to_checksum_address(one) for one in pair)
        return self.send(account, "permit", owner, spender, amount, deadline, *signature)
